"""Runs untrusted queries in a process of its own, which `SqlRunner` starts and can kill.

Each line of its input is a `Job`, and it answers with a line that is an `Outcome`. Whole results stay in this
process: it compares them itself, and only their beginning leaves it.
"""

from __future__ import annotations

import contextlib
import datetime
import decimal
import resource
import sqlite3
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

import msgspec

from nemo_gym.verifiers.sql_results import matches_any, same_rows

Cell = None | int | float | str


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """A database: a file, or a script that builds one in memory."""

    path: str = ""
    script: str = ""
    """SQL of ours for SQLite, in place of a file."""
    engine: Literal["sqlite", "duckdb"] = "sqlite"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one query."""

    seconds: float = 30.0
    rows: int = 100_000
    bytes: int = 64 << 20
    """Of all cells of a result."""
    memory_mib: int = 1024


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """The comparison of a result with the right one."""

    name: Literal["bird", "spider2"] = "bird"
    condition_cols: list[int | list[int]] = []
    ignore_order: bool = False
    extra_columns: int | None = None
    """The most columns beyond those of the widest right result; None is no limit."""
    allow_empty: bool = False
    """Whether a right result without rows can be compared with."""
    must_read: bool = True
    """Whether a query that reads no table is wrong; only for SQLite."""


class Job(msgspec.Struct, kw_only=True):
    """A query, and optionally what its result is compared with."""

    database: Database
    sql: str
    limits: Limits
    rule: Rule | None = None
    gold_sql: list[str] = []
    gold_results: list[list[list[Any]]] = []
    preview_rows: int = 20
    preview_bytes: int = 8 << 10


class Outcome(msgspec.Struct, kw_only=True):
    """The result of a job."""

    columns: list[str] = []
    rows: list[list[Any]] = []
    """The first rows, with long texts cut."""
    row_count: int = 0
    tables: list[str] = []
    """The tables that the query reads; only for SQLite."""
    error: str = ""
    """Why the query has no result."""
    reason: str = ""
    """`timeout`, `limit`, `denied` or `error` for a query without a result."""
    gold_error: str = ""
    """Why the right result can't be compared with; a fault of the task."""
    equal: bool | None = None


class Refusal(Exception):
    """A query has no result.

    Args:
        reason: the code of `Outcome.reason`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Result(msgspec.Struct):
    """The whole result of a query."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    tables: list[str]


def answer(job: Job) -> Outcome:
    """The outcome of a job."""
    try:
        result = run_query(job.database, job.sql, job.limits)
    except Refusal as refusal:
        outcome = Outcome(error=str(refusal), reason=refusal.reason)
        outcome.gold_error = _gold_error(job) if job.rule else ""
        return outcome
    outcome = Outcome(columns=result.columns[:200], row_count=len(result.rows), tables=result.tables)
    outcome.rows = _preview(result.rows, job.preview_rows, job.preview_bytes)
    if job.rule:
        try:
            outcome.equal, outcome.reason = _compare(job, job.rule, result)
        except (Refusal, ValueError) as error:
            outcome.gold_error = str(error)
    return outcome


def run_query(database: Database, sql: str, limits: Limits) -> Result:
    """The result of one read-only statement.

    Raises:
        Refusal: it has none.
    """
    return _run_duckdb(database, sql, limits) if database.engine == "duckdb" else _run(database, sql, limits)


def _gold_error(job: Job) -> str:
    try:
        _golds(job)
    except (Refusal, ValueError) as error:
        return str(error)
    return ""


def _golds(job: Job) -> list[Sequence[Sequence[Any]]]:
    golds: list[Sequence[Sequence[Any]]] = list(job.gold_results)
    golds += [run_query(job.database, sql, job.limits).rows for sql in job.gold_sql]
    if not golds:
        raise ValueError("the task has no right result")
    if not (job.rule and job.rule.allow_empty) and not all(golds):
        raise ValueError("the right result has no rows, so that any query without a result would be right")
    return golds


def _compare(job: Job, rule: Rule, result: Result) -> tuple[bool, str]:
    golds = _golds(job)
    if rule.must_read and not result.tables and job.database.engine == "sqlite":
        return False, "no_table"
    if rule.name == "bird":
        equal = any(same_rows(result.rows, gold) for gold in golds)
        return equal, "right" if equal else "wrong"
    width = max(len(gold[0]) if gold else 0 for gold in golds)
    equal = matches_any(result.rows, golds, rule.condition_cols, ignore_order=rule.ignore_order)
    if rule.extra_columns is not None and len(result.columns) > width + rule.extra_columns:
        return False, "too_many_columns"
    return equal, "right" if equal else "wrong"


_ACTIONS: Final = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
_PRAGMAS: Final = frozenset({"table_info", "table_xinfo", "table_list", "index_list", "index_info"})
_FUNCTIONS: Final = frozenset(
    {
        "load_extension",
        "readfile",
        "writefile",
        "edit",
        "fsdir",
        "fts3_tokenizer",
        "zipfile",
        "sqlar_compress",
    }
)
_LIMITS: Final = {
    sqlite3.SQLITE_LIMIT_LENGTH: 8 << 20,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 1 << 18,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1000,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 200,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_STEPS: Final = 10_000
"""Instructions of SQLite between two looks at the clock."""


class _Guard:
    """Decides which actions a statement may take, and notes what it reads."""

    def __init__(self) -> None:
        self.tables: set[str] = set()
        self.denied = ""

    def __call__(self, action: int, first: str | None, second: str | None, *_: str | None) -> int:
        allowed = action in _ACTIONS or (
            action == sqlite3.SQLITE_PRAGMA and (first or "").lower() in _PRAGMAS
        )
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _FUNCTIONS:
            allowed = False
        if action == sqlite3.SQLITE_READ and first:
            self.tables.add(first)
        if not allowed:
            self.denied = second or first or "this statement"
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _open(database: Database) -> sqlite3.Connection:
    if database.script:
        connection = sqlite3.connect(":memory:")
        connection.executescript(database.script)
    else:
        if not Path(database.path).is_file():
            raise Refusal("error", f"there is no database file {database.path}")
        connection = sqlite3.connect(f"file:{quote(database.path)}?mode=ro&immutable=1", uri=True)
    connection.text_factory = _text
    return connection


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _run(database: Database, sql: str, limits: Limits) -> Result:
    guard = _Guard()
    deadline = time.monotonic() + limits.seconds
    try:
        with contextlib.closing(_open(database)) as connection:
            for pragma in ("query_only=1", "temp_store=2", "trusted_schema=0", "mmap_size=0"):
                connection.execute(f"PRAGMA {pragma}")
            for name, value in _LIMITS.items():
                connection.setlimit(name, value)
            connection.set_authorizer(guard)
            connection.set_progress_handler(lambda: int(time.monotonic() > deadline), _STEPS)
            cursor = connection.execute(sql)
            columns = [str(column[0]) for column in cursor.description or ()]
            if not columns:
                raise Refusal("error", "the statement returns no table: write a SELECT")
            rows = _fetch(cursor, limits)
        return Result(columns, rows, sorted(guard.tables))
    except MemoryError:
        raise Refusal("limit", "the query needs too much memory") from None
    except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
        raise _refusal(error, guard.denied) from None


def _refusal(error: Exception, denied: str) -> Refusal:
    message = str(error)
    if message == "interrupted":
        return Refusal("timeout", "the query did not end within its time limit")
    if denied:
        return Refusal("denied", f"only SELECT queries are allowed: {message}"[:500])
    return Refusal("error", message.encode("utf-8", "replace").decode()[:500])


def _fetch(cursor: Any, limits: Limits) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    size = 0
    while batch := cursor.fetchmany(16):
        rows += [tuple(_plain(cell) for cell in row) for row in batch]
        size += sum(_size(cell) for row in batch for cell in row)
        if len(rows) > limits.rows or size > limits.bytes:
            raise Refusal("limit", f"the result has more than {limits.rows} rows or {limits.bytes} bytes")
    return rows


def _size(cell: Any) -> int:
    return len(cell) if isinstance(cell, str | bytes) else 8


def _plain(cell: Any) -> Any:
    """A value of SQLite's own types: DuckDB has more of them."""
    if cell is None or isinstance(cell, int | float | str | bytes):
        return cell
    if isinstance(cell, decimal.Decimal):
        return float(cell)
    if isinstance(cell, datetime.datetime | datetime.date | datetime.time):
        return cell.isoformat(" ") if isinstance(cell, datetime.datetime) else cell.isoformat()
    return str(cell)


def _run_duckdb(database: Database, sql: str, limits: Limits) -> Result:
    try:
        import duckdb
    except ImportError:
        raise Refusal("error", "DuckDB is not installed: pip install 'nemo-gym[duckdb]'") from None
    settings = {
        "enable_external_access": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
        "memory_limit": f"{limits.memory_mib // 2}MiB",
        "threads": "1",
        "max_temp_directory_size": "0MiB",
    }
    try:
        with contextlib.closing(_open_duckdb(duckdb, database, settings)) as connection:
            connection.execute("SET lock_configuration=true")
            statements: list[Any] = connection.extract_statements(sql)
            if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
                raise Refusal("denied", "only one SELECT query is allowed")
            cursor: Any = connection.execute(statements[0])
            columns = [str(column[0]) for column in cursor.description or ()]
            return Result(columns, _fetch(cursor, limits), [])
    except MemoryError:
        raise Refusal("limit", "the query needs too much memory") from None
    except (duckdb.Error, ValueError, OverflowError, RuntimeError) as error:
        raise _refusal(error, "") from None


def _open_duckdb(duckdb: Any, database: Database, settings: dict[str, str]) -> Any:
    if database.script:
        connection = duckdb.connect(":memory:", config=settings)
        connection.execute(database.script)
        return connection
    if not Path(database.path).is_file():
        raise Refusal("error", f"there is no database file {database.path}")
    return duckdb.connect(database.path, read_only=True, config=settings)


def _preview(rows: list[tuple[Any, ...]], most: int, size: int) -> list[list[Any]]:
    """The first rows whose cells together are not larger than `size` characters."""
    preview: list[list[Any]] = []
    for row in rows[:most]:
        cells = [_shown(cell) for cell in row[:200]]
        size -= sum(_size(cell) for cell in cells)
        if size < 0 and preview:
            break
        preview.append(cells)
    return preview


def _shown(cell: Any) -> Cell:
    if isinstance(cell, bytes):
        return f"x'{cell[:20].hex()}'"
    if isinstance(cell, float) and not -1e308 <= cell <= 1e308:
        return str(cell)
    if isinstance(cell, int) and not -(1 << 63) <= cell < 1 << 63:
        return str(cell)[:40]
    if isinstance(cell, str):
        return cell[:200].encode("utf-8", "replace").decode()
    return cell


def main() -> None:
    """Answer jobs until the input ends. The argument is the memory limit in MiB."""
    most = int(sys.argv[1]) << 20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    decoder = msgspec.json.Decoder(Job)
    for line in sys.stdin.buffer:
        try:
            outcome = answer(decoder.decode(line))
        except MemoryError:
            outcome = Outcome(error="the query needs too much memory", reason="limit")
        sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
