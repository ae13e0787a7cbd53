"""Prepares SuperGPQA."""

from pathlib import Path
from typing import Any

from nemo_gym.datasets.benchmark_rows import choice_row, hub_records, write_benchmark


def prepare() -> Path:
    """Write the tasks and return the path."""
    records = hub_records("supergpqa", "m-a-p/SuperGPQA", "SuperGPQA-all.jsonl")
    return write_benchmark("supergpqa", map(row, records))


def row(record: dict[str, Any]) -> dict[str, Any]:
    """The task of a record."""
    names = ("uuid", "discipline", "field", "subfield", "difficulty", "is_calculation")
    right = "ABCDEFGHIJ".index(record["answer_letter"].strip())
    return choice_row(record["question"], record["options"], right) | {name: record[name] for name in names}
