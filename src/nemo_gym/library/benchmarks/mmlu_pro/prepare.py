"""Prepares the test set of MMLU-Pro."""

from pathlib import Path
from typing import Any

from nemo_gym.datasets.benchmark_rows import choice_row, hub_records, write_benchmark


def prepare() -> Path:
    """Write the tasks and return the path."""
    records = hub_records("mmlu_pro", "TIGER-Lab/MMLU-Pro", "data/test-*.parquet")
    return write_benchmark("mmlu_pro", map(row, records))


def row(record: dict[str, Any]) -> dict[str, Any]:
    """The task of a record."""
    columns = {name: record[name] for name in ("question_id", "category", "src")}
    return choice_row(record["question"], record["options"], record["answer_index"]) | columns
