"""Prepares the problems of AIME 2024."""

from pathlib import Path
from typing import Any

from nemo_gym.datasets.benchmark_rows import hub_records, write_benchmark


def prepare() -> Path:
    """Write the tasks and return the path."""
    records = hub_records("aime24", "HuggingFaceH4/aime_2024", "data/train-*.parquet")
    return write_benchmark("aime24", map(row, records))


def row(record: dict[str, Any]) -> dict[str, str]:
    """The task of a record. Some records write the answer with leading zeros."""
    return {"question": record["problem"], "expected_answer": str(int(record["answer"]))}
