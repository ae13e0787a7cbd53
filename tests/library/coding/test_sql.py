"""The three environments about SQL: their cases, hacks, oracles, and refusals."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.sql_environment import SqlEnvironment
from nemo_gym.library.coding.bird_sql.environment import BirdSql
from nemo_gym.library.coding.spider2_lite.environment import Spider2Lite
from nemo_gym.library.coding.spider2_lite.results import read_results
from nemo_gym.library.coding.sql.environment import Sql
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.items import function_call
from nemo_gym.wire.task import task_to_row
from tests.library.playing import expected_reward, play, play_golden, play_oracle
from tests.library.replaying import recorded_hacks

KINDS: list[type[SqlEnvironment]] = [Sql, BirdSql, Spider2Lite]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.__name__)
def environment(request: pytest.FixtureRequest) -> Iterator[SqlEnvironment]:
    environment = request.param()
    yield environment
    environment.aclose()


def test_golden_cases_earn_what_they_say(environment: SqlEnvironment) -> None:
    for case in environment.golden():
        assert play_golden(environment, case).value == expected_reward(environment, case), case.name


def test_hacks_do_not_pay_and_honest_answers_do(environment: SqlEnvironment) -> None:
    impatient = type(environment)({"seconds": 0.2})
    for hack in recorded_hacks(environment):
        reward = play(impatient if hack["family"] == "bomb" else environment, hack["task"], hack["output"])
        assert reward.value == float(hack["expected"] == "full"), (hack["name"], reward.details)
    impatient.aclose()


@pytest.mark.parametrize("level", range(5))
@pytest.mark.parametrize("kind", KINDS)
def test_the_oracle_earns_all_and_an_empty_policy_nothing(kind: type[SqlEnvironment], level: int) -> None:
    environment = kind({"level": level})
    rows = [task_to_row(task) for task in environment.tasks("test", 7, 8)]
    assert len(rows) == 8
    for row in rows:
        assert play_oracle(environment, row).value == 1.0
        assert play(environment, row, "I don't know.").value == 0.0
    environment.aclose()


def test_every_level_has_enough_distinct_tasks() -> None:
    environment = Sql({"level": 0})
    keys = [task.question for split in ("train", "test") for task in environment.tasks(split, 0, 850)]
    assert len(keys) == len(set(keys)) >= 1000


def test_the_tools_show_the_schema_and_rows() -> None:
    environment = Sql()
    row = task_to_row(next(iter(environment.tasks("test", 0, 1))))
    link = LocalEnvironment(environment)
    calls = [
        ("list_tables", {}),
        ("describe_table", {"table": "nothing"}),
        ("run_query", {"sql": "SELECT count(*) AS n FROM sqlite_master"}),
        ("run_query", {"sql": "DROP TABLE customers"}),
    ]

    async def answers() -> list[str]:
        async with link.session(row) as session:
            return [
                await link.call(session, function_call(name, json.dumps(arguments), call_id="c"))
                for name, arguments in calls
            ]

    tables, missing, count, refusal = asyncio.run(answers())
    assert len(json.loads(tables)) == 3
    assert "There is no such table" in missing
    assert json.loads(count) == {"columns": ["n"], "rows": [[3]], "row_count": 1}
    assert "only SELECT queries are allowed" in refusal
    environment.aclose()


BAD_ROWS: list[tuple[type[SqlEnvironment], dict[str, Any], str]] = [
    (BirdSql, {"db_id": "financial", "gold_sql": "SELECT 1"}, "set databases=FOLDER"),
    (BirdSql, {"db_id": "../etc", "gold_sql": "SELECT 1"}, "plain name"),
    (BirdSql, {"db_id": "generated/shop/1", "gold_sql": "SELECT nothing"}, "syntax error"),
    (BirdSql, {"db_id": "generated/shop/1", "gold_sql": "SELECT 1 FROM orders WHERE 0"}, "no rows"),
    (Spider2Lite, {"db_id": "generated/shop/1"}, "neither gold_sql nor gold_result"),
    (Spider2Lite, {"db_id": "generated/shop/1", "gold_result": [[1], [1, 2]]}, "equal length"),
    (
        Spider2Lite,
        {"db_id": "generated/shop/1", "gold_result": [[1]], "condition_cols": [3]},
        "condition_cols",
    ),
    (Sql, {"db_id": "generated/mine/1", "gold_sql": "SELECT 1"}, "expected generated/BUSINESS/SEED"),
]


@pytest.mark.parametrize(("kind", "facts", "message"), BAD_ROWS)
def test_a_bad_row_is_refused_and_not_scored(
    kind: type[SqlEnvironment], facts: dict[str, Any], message: str
) -> None:
    environment = kind()
    with pytest.raises(TaskUnfit, match=message):
        play(environment, {"question": "?", "verifier_metadata": facts}, "```sql\nSELECT id FROM orders\n```")
    environment.aclose()


def test_database_files_of_a_folder_are_used(tmp_path: Path) -> None:
    (tmp_path / "bank").mkdir()
    with sqlite3.connect(tmp_path / "bank" / "bank.sqlite") as connection:
        connection.execute("CREATE TABLE t AS SELECT 5 AS a")
    connection.close()
    environment = BirdSql({"databases": str(tmp_path)})
    facts = {"db_id": "bank", "gold_sql": "SELECT a FROM t"}
    assert play(environment, {"verifier_metadata": facts}, "SELECT max(a) FROM t").value == 1.0
    with pytest.raises(TaskUnfit, match=r"no other/other\.sqlite"):
        play(environment, {"verifier_metadata": {**facts, "db_id": "other"}}, "SELECT 1")
    environment.aclose()


def test_right_results_are_rows_csv_texts_or_alternatives() -> None:
    assert read_results([[1, "a"]]) == [[[1, "a"]]]
    assert read_results([[[1]], [[2]]]) == [[[1]], [[2]]]
    assert read_results("a,b\n1,x\n2.5,\n") == [[[1, "x"], [2.5, None]]]
    assert read_results(["a\n1\n", "a\n2\n"]) == [[[1]], [[2]]]
    for bad in (None, [], 5, [[]], [{}], "a,b\n1\n"):
        with pytest.raises(ValueError, match="gold_result"):
            read_results(bad)
