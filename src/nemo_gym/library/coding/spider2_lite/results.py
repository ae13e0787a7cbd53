"""The right results of a row: rows, CSV text, or several of either."""

from __future__ import annotations

import csv
import io
from typing import Any, cast

MAX_CSV = 8 << 20
"""The most characters of one CSV text."""


def read_results(gold: Any) -> list[list[list[Any]]]:
    """The alternatives of `gold_result`: a list of rows, a CSV text with a header, or a list of these.

    Raises:
        ValueError: it has another form.
    """
    if isinstance(gold, str):
        return [read_csv(gold)]
    if not isinstance(gold, list) or not gold:
        raise ValueError("gold_result: expected rows, a CSV text, or a list of these")
    entries = cast("list[Any]", gold)
    if all(isinstance(entry, str) for entry in entries):
        return [read_csv(entry) for entry in entries]
    if all(_is_table(entry) for entry in entries):
        return entries
    if _is_table(entries):
        return [entries]
    raise ValueError("gold_result: expected rows of equal length with plain values")


def read_csv(text: str) -> list[list[Any]]:
    """The rows of a CSV text after its header; numbers become numbers, and empty cells None."""
    if len(text) > MAX_CSV:
        raise ValueError(f"gold_result: a CSV text may have at most {MAX_CSV} characters")
    try:
        rows = [row for row in csv.reader(io.StringIO(text)) if row]
    except csv.Error as error:
        raise ValueError(f"gold_result: {error}") from None
    if any(len(row) != len(rows[0]) for row in rows):
        raise ValueError("gold_result: the rows of the CSV text differ in length")
    return [[_cell(cell) for cell in row] for row in rows[1:]]


def _cell(text: str) -> Any:
    if text.strip() == "" or text.strip().lower() in ("nan", "none", "null"):
        return None
    for kind in (int, float):
        try:
            return kind(text) if len(text) < 40 else text
        except ValueError:
            continue
    return text


def _is_table(value: Any) -> bool:
    rows = _list(value)
    widths = {len(_list(row)) for row in rows}
    return (
        len(widths) == 1 and 0 not in widths and all(_is_plain(cell) for row in rows for cell in _list(row))
    )


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _is_plain(cell: Any) -> bool:
    return cell is None or isinstance(cell, int | float | str)
