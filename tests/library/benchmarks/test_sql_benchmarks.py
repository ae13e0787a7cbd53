"""bird and spider2_lite: rows over databases that the user provides."""

from __future__ import annotations

import json
import runpy
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.config.sources import BUILT_IN
from nemo_gym.environments.discovery import find_environment
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.jsonl import read_rows
from nemo_gym.wire.task import Row
from tests.library.playing import play

RIGHT = "```sql\nSELECT name FROM cities WHERE people > {number}\n```"


def prepare(name: str, *arguments: str) -> list[Row]:
    path = runpy.run_path(str(BUILT_IN / "benchmarks" / name / "prepare.py"))["prepare"](*arguments)
    return [row for _, row in read_rows(path)]


def database(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE cities (name TEXT, people INTEGER)")
        connection.executemany("INSERT INTO cities VALUES (?, ?)", [(f"city {n}", n) for n in range(10)])
    connection.close()


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_bird_has_the_tables_in_the_prompt_and_compares_rows(
    tmp_path: Path, use_hub: Callable[..., str]
) -> None:
    records = [
        {
            "question_id": number,
            "db_id": "geo",
            "question": f"Which cities have more than {number} people?",
            "evidence": "people is the number of people",
            "SQL": f"SELECT name FROM cities WHERE people > {number}",
            "difficulty": "simple",
        }
        for number in range(5)
    ]
    folder = tmp_path / "hub" / "birdsql" / "bird_mini_dev" / "data"
    folder.mkdir(parents=True)
    (folder / "mini_dev_sqlite-00000-of-00001.json").write_text(json.dumps(records))
    use_hub(tmp_path / "hub")
    with pytest.raises(UsageError, match=r"geo.sqlite: there is no such database"):
        prepare("bird")
    database(Path("benchmarks/bird/data/databases/geo/geo.sqlite"))

    rows = prepare("bird")

    environment = find_environment("bird_sql")({"databases": "benchmarks/bird/data/databases"})
    assert "CREATE TABLE cities" in rows[0]["responses_create_params"]["input"][0]["content"]
    for number, row in enumerate(rows):
        assert play(environment, row, RIGHT.format(number=number)).value == 1.0
        assert play(environment, row, RIGHT.format(number=number + 1)).value == 0.0
        assert play(environment, row, "").value == 0.0


def test_spider_compares_columns_with_published_results(tmp_path: Path) -> None:
    folder = tmp_path / "benchmarks/spider2_lite/data/spider2-lite"
    with pytest.raises(UsageError, match=r"has no spider2-lite.jsonl"):
        prepare("spider2_lite")
    gold = folder / "evaluation_suite" / "gold"
    (gold / "exec_result").mkdir(parents=True)
    databases = folder / "resource" / "databases" / "spider2-localdb"
    database(databases / "Geo.sqlite")
    questions: list[dict[str, Any]] = []
    rules: list[dict[str, Any]] = []
    for number in range(5):
        name = f"local00{number}"
        questions.append({"instance_id": name, "db": "Geo", "question": "Which?", "external_knowledge": None})
        rules.append({"instance_id": name, "condition_cols": [], "ignore_order": True})
        lines = "".join(f"city {one}\n" for one in range(number + 1, 10))
        (gold / "exec_result" / f"{name}_a.csv").write_text(f"name\n{lines}")
    questions.append({"instance_id": "bq001", "db": "cloud", "question": "?", "external_knowledge": None})
    for path, records in (
        (folder / "spider2-lite.jsonl", questions),
        (gold / "spider2lite_eval.jsonl", rules),
    ):
        path.write_text("".join(f"{json.dumps(record)}\n" for record in records))

    rows = prepare("spider2_lite")

    environment = find_environment("spider2_lite")({"databases": str(databases)})
    assert [row["instance_id"] for row in rows] == [f"local00{number}" for number in range(5)]
    for number, row in enumerate(rows):
        assert play(environment, row, RIGHT.format(number=number)).value == 1.0
        assert play(environment, row, RIGHT.format(number=number + 1)).value == 0.0
