"""Compare the results of SQL queries, and find the query inside model text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from nemo_gym.verifiers.text import last_code_block, strip_reasoning

__all__ = ["contains_columns", "extract_sql", "matches_any", "same_rows", "strip_comments"]

MAX_SQL: Final = 100_000
"""The most characters of a query."""

Rows = Sequence[Sequence[Any]]


def extract_sql(text: str) -> str | None:
    """Return the query of an answer: the last ```sql block, else the last block, else the whole text.

    Reasoning, comments and final semicolons are left out. None when nothing is left, or when the query is
    longer than `MAX_SQL` characters.
    """
    text = strip_reasoning(text)
    block = last_code_block(text, "sql")
    if block is None:
        block = last_code_block(text)
    sql = text if block is None else block
    return (strip_comments(sql) or None) if len(sql) <= MAX_SQL else None


def strip_comments(sql: str) -> str:
    """Return a query without comments, blanks around it and final semicolons; quoted text stays."""
    parts: list[str] = []
    start = at = 0
    while (at := _next_mark(sql, at)) >= 0:
        end = _end_of_mark(sql, at)
        if sql.startswith(_COMMENTS, at):
            parts.append(sql[start:at])
            start = end
        at = end
    parts.append(sql[start:])
    return " ".join(parts).strip(" \t\r\n;\0")


def same_rows(predicted: Rows, gold: Rows) -> bool:
    """Whether two results have the same set of rows, as BIRD compares them.

    The order and the number of equal rows do not count; the order of the columns does. `1` equals `1.0`, and
    a number never equals a text.
    """
    return {_row_key(row) for row in predicted} == {_row_key(row) for row in gold}


def contains_columns(
    predicted: Rows,
    gold: Rows,
    condition_cols: Sequence[int] = (),
    *,
    ignore_order: bool = False,
    tolerance: float = 1e-2,
) -> bool:
    """Whether every column of the gold result is among the predicted columns, as Spider 2 compares them.

    None and NaN count as 0. Two numbers are equal when they differ by at most `tolerance`.

    Args:
        condition_cols: the positions of the gold columns that count; empty means all.
        ignore_order: each column is compared without regard to the order of its values.

    Raises:
        ValueError: a position in `condition_cols` is outside the gold result, or its rows differ in length.
    """
    width = max((len(row) for row in gold), default=0)
    if any(not 0 <= column < width for column in condition_cols):
        raise ValueError(f"condition_cols {list(condition_cols)} does not fit a result of {width} columns")
    if len(predicted) != len(gold):
        return False
    candidates = [_vector(column, ignore_order) for column in zip(*predicted, strict=True)]
    columns = list(zip(*gold, strict=True))
    required = [columns[at] for at in condition_cols] if condition_cols else columns
    return all(
        any(_same_vector(vector, candidate, tolerance) for candidate in candidates)
        for vector in (_vector(column, ignore_order) for column in required)
    )


def matches_any(
    predicted: Rows,
    golds: Sequence[Rows],
    condition_cols: Sequence[int | Sequence[int]] = (),
    *,
    ignore_order: bool = False,
) -> bool:
    """Whether a result contains the columns of one of several gold results.

    Args:
        condition_cols: positions for every gold result, or a list of positions for each of them.

    Raises:
        ValueError: `condition_cols` does not fit the gold results.
    """
    each = _positions(condition_cols, len(golds))
    verdicts = [
        contains_columns(predicted, gold, columns, ignore_order=ignore_order)
        for gold, columns in zip(golds, each, strict=True)
    ]
    return any(verdicts)


_COMMENTS = ("--", "/*")
_MARK = re.compile(r"['\"`\[]|--|/\*")
_CLOSINGS = {"'": "'", '"': '"', "`": "`", "[": "]", "--": "\n", "/*": "*/"}


def _next_mark(sql: str, start: int) -> int:
    """The position of the next quotation mark or comment, or -1."""
    mark = _MARK.search(sql, start)
    return mark.start() if mark else -1


def _end_of_mark(sql: str, at: int) -> int:
    opening = sql[at : at + 2] if sql.startswith(_COMMENTS, at) else sql[at]
    closing = _CLOSINGS[opening]
    end = sql.find(closing, at + len(opening))
    return len(sql) if end < 0 else end + (len(closing) if opening != "--" else 0)


def _row_key(row: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(_cell_key(cell) for cell in row)


def _cell_key(cell: Any) -> Any:
    """A cell in a form that can be a member of a set; a NaN equals another one."""
    if isinstance(cell, float) and math.isnan(cell):
        return ("nan",)
    if cell is None or isinstance(cell, str | bytes | int | float):
        return cell
    return ("value", type(cell).__name__, str(cell))


def _vector(column: Sequence[Any], ignore_order: bool) -> list[Any]:
    values = [0 if _is_missing(cell) else cell for cell in column]
    return sorted(values, key=_order) if ignore_order else values


def _is_missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _order(cell: Any) -> tuple[int, Any]:
    return (0, cell) if isinstance(cell, int | float) else (1, str(cell))


def _same_vector(left: list[Any], right: list[Any], tolerance: float) -> bool:
    return len(left) == len(right) and all(
        _same_cell(a, b, tolerance) for a, b in zip(left, right, strict=True)
    )


def _same_cell(left: Any, right: Any, tolerance: float) -> bool:
    if isinstance(left, int | float) and isinstance(right, int | float):
        try:
            return math.isclose(left, right, abs_tol=tolerance)
        except OverflowError:
            return left == right
    return type(left) is type(right) and left == right


def _positions(condition_cols: Sequence[int | Sequence[int]], count: int) -> Iterator[Sequence[int]]:
    nested = [columns for columns in condition_cols if not isinstance(columns, int)]
    if nested and (len(nested) != len(condition_cols) or len(nested) != count):
        raise ValueError(f"condition_cols has {len(condition_cols)} entries for {count} gold results")
    flat = [column for column in condition_cols if isinstance(column, int)]
    return iter(nested or [flat] * count)
