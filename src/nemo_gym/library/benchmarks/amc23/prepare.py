"""Prepares the problems of AMC 2023."""

from pathlib import Path
from typing import Any

from nemo_gym.datasets.benchmark_rows import hub_records, write_benchmark


def prepare() -> Path:
    """Write the tasks and return the path."""
    records = hub_records("amc23", "math-ai/amc23", "*test*.parquet")
    return write_benchmark("amc23", map(row, records))


def row(record: dict[str, Any]) -> dict[str, str]:
    """The task of a record. The answers are numbers such as 27.0."""
    return {"question": record["question"], "expected_answer": str(record["answer"]).removesuffix(".0")}
