"""Prepares the mini-dev set of BIRD."""

from pathlib import Path

from nemo_gym.datasets.benchmark_rows import hub_records, write_benchmark
from nemo_gym.datasets.sql_schema import sqlite_schema


def prepare(databases: str = "benchmarks/bird/data/databases") -> Path:
    """Write the tasks and return the path.

    Args:
        databases: the folder of the databases, `<db_id>/<db_id>.sqlite`. It is `dev_databases` in the archive
            `minidev.zip` that the authors of BIRD publish; the hub does not have it.
    """
    records = hub_records("bird", "birdsql/bird_mini_dev", "*mini_dev_sqlite*.json")
    return write_benchmark("bird", (row(record, Path(databases)) for record in records))


def row(record: dict[str, str], databases: Path) -> dict[str, object]:
    """The task of a record; the prompt holds the tables of the database."""
    name = record["db_id"]
    prompt = (
        f"The tables of a SQLite database:\n\n{sqlite_schema(databases / name / f'{name}.sqlite')}\n\n"
        f"Question: {record['question']}\nHint: {record['evidence']}\n\n"
        "Write one SQLite query that answers the question, in a ```sql block."
    )
    return {
        "responses_create_params": {"input": [{"role": "user", "content": prompt}]},
        "question": record["question"],
        "verifier_metadata": {"db_id": name, "gold_sql": record["SQL"], "difficulty": record["difficulty"]},
    }
