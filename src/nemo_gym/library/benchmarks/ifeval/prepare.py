"""Prepares the 541 prompts of IFEval."""

from pathlib import Path
from typing import Any

from nemo_gym.datasets.benchmark_rows import hub_records, instruction_row, write_benchmark


def prepare() -> Path:
    """Write the tasks and return the path."""
    records = hub_records("ifeval", "google/IFEval", "ifeval_input_data.jsonl")
    return write_benchmark("ifeval", map(row, records))


def row(record: dict[str, Any]) -> dict[str, Any]:
    """The task of a record: all of its instructions must be followed."""
    return instruction_row(record) | {"grading_mode": "binary"}
