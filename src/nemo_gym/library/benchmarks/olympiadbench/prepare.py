"""Prepares the problems of OlympiadBench that have a final answer and no picture."""

from pathlib import Path
from typing import Any

from nemo_gym.datasets.benchmark_rows import hub_records, write_benchmark


def prepare() -> Path:
    """Write the tasks and return the path."""
    records = hub_records("olympiadbench", "Hothan/OlympiadBench", "*/OE_TO_maths_en_COMP.parquet")
    return write_benchmark("olympiadbench", map(row, records))


def row(record: dict[str, Any]) -> dict[str, Any]:
    """The task of a record. Its final answers are parts of one answer."""
    answers = [answer.strip().strip("$") for answer in record["final_answer"]]
    columns = {name: record[name] for name in ("subfield", "answer_type", "unit")}
    return {"question": record["question"], "expected_answer": ", ".join(answers), **columns}
