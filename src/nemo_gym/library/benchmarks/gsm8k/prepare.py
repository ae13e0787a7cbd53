"""Prepares the test set of GSM8K."""

from pathlib import Path

from nemo_gym.datasets.benchmark_rows import hub_records, write_benchmark


def prepare() -> Path:
    """Write the tasks and return the path."""
    records = hub_records("gsm8k", "openai/gsm8k", "main/test-*.parquet")
    return write_benchmark("gsm8k", map(row, records))


def row(record: dict[str, str]) -> dict[str, str]:
    """The task of a record. The answer of a record is a worked solution, then `####` and the number."""
    solution, _, number = record["answer"].rpartition("####")
    answer = number.strip().replace(",", "")
    return {"question": record["question"], "expected_answer": answer, "reference_solution": solution.strip()}
