"""Prepares the questions of Spider 2 (lite) that need no cloud database."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nemo_gym.datasets.benchmark_rows import read_records, write_benchmark
from nemo_gym.datasets.sql_schema import sqlite_schema
from nemo_gym.wire.errors import UsageError


def prepare(folder: str = "benchmarks/spider2_lite/data/spider2-lite") -> Path:
    """Write the tasks and return the path.

    Args:
        folder: `spider2-lite` in a copy of the authors' repository, with their local databases in
            `resource/databases/spider2-localdb`; the hub has neither the right results nor the databases.
    """
    return write_benchmark("spider2_lite", rows(Path(folder)))


def rows(folder: Path) -> Iterator[dict[str, Any]]:
    """The tasks on SQLite that have a right result."""
    if not (folder / "spider2-lite.jsonl").is_file():
        raise UsageError(f"{folder} has no spider2-lite.jsonl: put a copy of the authors' folder there")
    gold = folder / "evaluation_suite" / "gold"
    rules = {rule["instance_id"]: rule for rule in read_records(gold / "spider2lite_eval.jsonl")}
    for record in read_records(folder / "spider2-lite.jsonl"):
        name = record["instance_id"]
        results = sorted((gold / "exec_result").glob(f"{name}*.csv"))
        if name.startswith("local") and results:
            yield row(record, rules.get(name, {}), [path.read_text() for path in results], folder)


def row(record: dict[str, Any], rule: dict[str, Any], results: list[str], folder: Path) -> dict[str, Any]:
    """The task of a record; the prompt holds the tables of the database and the page that it refers to."""
    databases, documents = folder / "resource" / "databases", folder / "resource" / "documents"
    page = record.get("external_knowledge")
    knowledge = f"{(documents / page).read_text()}\n\n" if page else ""
    prompt = (
        "The tables of a SQLite database:\n\n"
        f"{sqlite_schema(databases / 'spider2-localdb' / (record['db'] + '.sqlite'))}\n\n{knowledge}"
        f"Question: {record['question']}\n\nWrite one SQLite query that answers it, in a ```sql block."
    )
    return {
        "responses_create_params": {"input": [{"role": "user", "content": prompt}]},
        "question": record["question"],
        "verifier_metadata": {
            "db_id": record["db"],
            "gold_result": results,
            "condition_cols": rule.get("condition_cols") or [],
            "ignore_order": bool(rule.get("ignore_order")),
        },
        "instance_id": record["instance_id"],
    }
