"""Prepares the 500 problems of MATH-500."""

from pathlib import Path
from typing import Any

from nemo_gym.datasets.benchmark_rows import hub_records, write_benchmark


def prepare() -> Path:
    """Write the tasks and return the path."""
    records = hub_records("math500", "HuggingFaceH4/MATH-500", "test.jsonl")
    return write_benchmark("math500", map(row, records))


def row(record: dict[str, Any]) -> dict[str, Any]:
    """The task of a record."""
    columns = {name: record[name] for name in ("subject", "level", "unique_id")}
    return {"question": record["problem"], "expected_answer": record["answer"], **columns}
