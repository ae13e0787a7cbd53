"""Prepares SimpleQA."""

from pathlib import Path

from nemo_gym.datasets.benchmark_rows import hub_records, write_benchmark


def prepare() -> Path:
    """Write the tasks and return the path."""
    records = hub_records("simpleqa", "basicv8vc/SimpleQA", "simple_qa_test_set.csv")
    return write_benchmark("simpleqa", map(row, records))


def row(record: dict[str, str]) -> dict[str, str]:
    """The task of a record."""
    return {"question": record["problem"], "expected_answer": record["answer"]}
