"""The runner of untrusted SQL: what it refuses, and that nothing hangs it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from nemo_gym.environments.sql_runner import Database, Limits, Rule, SqlRunner
from nemo_gym.wire.errors import TaskUnfit

SCRIPT = "CREATE TABLE t(a INTEGER, b TEXT); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, NULL);"
MEMORY = Database(script=SCRIPT)


@pytest.fixture(scope="module")
def runner() -> Iterator[SqlRunner]:
    runner = SqlRunner(workers=2)
    yield runner
    runner.close()


@pytest.fixture(scope="module")
def impatient() -> Iterator[SqlRunner]:
    runner = SqlRunner(Limits(seconds=0.15, rows=1000, bytes=1 << 20, memory_mib=512), workers=2)
    yield runner
    runner.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("with space?") / "a#b.sqlite"
    connection = sqlite3.connect(path)
    connection.executescript(SCRIPT)
    connection.close()
    return path


def test_a_query_returns_its_columns_rows_and_tables(runner: SqlRunner, file: Path) -> None:
    for database in (MEMORY, Database(path=str(file))):
        outcome = runner.query(database, "SELECT a, b FROM t ORDER BY a", rows=2)
        assert (outcome.columns, outcome.rows) == (["a", "b"], [[1, "x"], [2, "y"]])
        assert (outcome.row_count, outcome.tables, outcome.error) == (3, ["t"], "")


@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH DATABASE '{folder}/new.db' AS n",
        "VACUUM INTO '{folder}/new.db'",
        "DELETE FROM t",
        "INSERT INTO t VALUES (1, 'z')",
        "DROP TABLE t",
        "CREATE TEMP TABLE n AS SELECT 1",
        "PRAGMA query_only=0",
        "PRAGMA writable_schema=1",
        "PRAGMA temp_store_directory='{folder}'",
        "SELECT load_extension('{folder}/x.so')",
        "SELECT writefile('{folder}/new.db', 'x')",
        "SELECT readfile('/etc/passwd')",
        "SELECT fts3_tokenizer('x')",
        "BEGIN EXCLUSIVE",
        "SELECT 1; SELECT 2",
        "EXPLAIN SELECT load_extension('x')",
        "",
        "\0",
        "SELECT '\ud800",
        "(" * 10_000,
    ],
)
def test_only_a_select_has_a_result_and_nothing_changes(runner: SqlRunner, file: Path, sql: str) -> None:
    before = file.read_bytes()
    outcome = runner.query(Database(path=str(file)), sql.replace("{folder}", str(file.parent)))
    assert outcome.error
    assert outcome.reason in ("denied", "error")
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


BOMBS = [
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n) SELECT max(i) FROM n",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
    "WITH RECURSIVE n(s) AS (SELECT 'ab' UNION ALL SELECT s || s FROM n) SELECT group_concat(s) FROM n",
    "SELECT randomblob(1000000000)",
    "SELECT hex(zeroblob(1000000000))",
    "SELECT printf('%.*c', 1000000000, 'x')",
    "SELECT instr(hex(zeroblob(4000000)), hex(zeroblob(2000000)) || '1')",
    "SELECT replace(hex(zeroblob(8000000)), '0', hex(zeroblob(8000000)))",
    f"SELECT hex(zeroblob(4000000)) LIKE '{'%0' * 600}1'",
    f"SELECT hex(zeroblob(4000000)) GLOB '{'*0' * 600}1'",
    "SELECT " + " || ".join(["hex(zeroblob(7000000))"] * 40),
    "SELECT a.a FROM t a, t b, t c, t d, t e, t f, t g, t h, t i, t j, t k, t l, t m, t n, t o ORDER BY 1",
]


@pytest.mark.parametrize("sql", BOMBS, ids=range(len(BOMBS)))
def test_a_bomb_ends_within_the_limits_and_the_runner_lives(impatient: SqlRunner, sql: str) -> None:
    began = time.monotonic()
    assert impatient.query(MEMORY, sql).reason in ("timeout", "limit", "error")
    assert time.monotonic() - began < 60
    count = "SELECT count(*) FROM t"
    assert any(impatient.query(MEMORY, count).rows == [[3]] for _ in range(50))


def test_results_are_compared_and_a_broken_right_query_is_a_fault_of_the_row(runner: SqlRunner) -> None:
    gold = ["SELECT a FROM t"]
    assert runner.compare(MEMORY, "SELECT a FROM t ORDER BY a DESC", Rule(), gold_sql=gold).equal is True
    assert runner.compare(MEMORY, "SELECT b FROM t", Rule(), gold_sql=gold).equal is False
    assert runner.compare(MEMORY, "SELECT nothing", Rule(), gold_sql=gold).equal is None
    literal = runner.compare(MEMORY, "SELECT 1 UNION SELECT 2 UNION SELECT 3", Rule(), gold_sql=gold)
    assert (literal.equal, literal.reason) == (False, "no_table")
    for broken in (["SELECT nothing"], ["SELECT a FROM t WHERE a > 9"], []):
        for sql in ("SELECT a FROM t", "SELECT nothing"):
            with pytest.raises(TaskUnfit):
                runner.compare(MEMORY, sql, Rule(), gold_sql=broken)


def test_a_result_may_have_a_few_further_columns_only(runner: SqlRunner) -> None:
    rule = Rule(name="spider2", extra_columns=2)
    golds = [[[1], [2], [3]]]
    assert runner.compare(MEMORY, "SELECT a, b, 1 FROM t", rule, gold_results=golds).equal is True
    outcome = runner.compare(MEMORY, "SELECT 3, 2, 1, a FROM t", rule, gold_results=golds)
    assert (outcome.equal, outcome.reason) == (False, "too_many_columns")


def test_duckdb_files_are_read_only_and_reach_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1.5::DECIMAL(4,2) a, DATE '2024-05-01' d, [1, 2] l")
    runner = SqlRunner(Limits(rows=1000, memory_mib=4096), workers=1)
    impatient = SqlRunner(Limits(seconds=0.15, rows=1000, memory_mib=4096), workers=1)
    database = Database(path=str(path), engine="duckdb")
    try:
        assert runner.query(database, "SELECT * FROM t").rows == [[1.5, "2024-05-01", "[1, 2]"]]
        for sql in (
            "DELETE FROM t",
            "ATTACH ':memory:' AS n",
            f"COPY t TO '{tmp_path}/new.csv'",
            "SELECT * FROM read_text('/etc/passwd')",
            "SELECT * FROM '/etc/passwd'",
            "SET enable_external_access=true",
            "INSTALL httpfs",
            "SELECT 1; SELECT 2",
        ):
            assert runner.query(database, sql).error, sql
        endless = "SELECT count(*) FROM range(100000000000) a, range(100000000000)"
        assert impatient.query(database, endless).reason == "timeout"
        assert runner.query(database, "SELECT repeat('x', 3000000000)").error
        assert [file.name for file in tmp_path.iterdir()] == [path.name]
    finally:
        runner.close()
        impatient.close()
