"""Comparison of query results, and the query inside an answer."""

from __future__ import annotations

import math
import time

import pytest

from nemo_gym.verifiers.sql_results import contains_columns, extract_sql, matches_any, same_rows

HOSTILE = ["", "\0" * 1000, "\ud800", "'" * 1_000_000, "```sql\n" * 100_000, "/*" * 400_000, "-" * 99_999]


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("```sql\nSELECT 1;\n```", "SELECT 1"),
        ("```\nSELECT 2\n```\ntext", "SELECT 2"),
        ("```sql\nSELECT 1\n```\n```python\nx\n```", "SELECT 1"),
        ("```sql\nSELECT 1\n```\nor\n```sql\nSELECT 2\n```", "SELECT 2"),
        ("SELECT 3 ; ;", "SELECT 3"),
        ("<think>```sql\nSELECT 1\n```</think>", None),
        (
            "```sql\n-- all\nSELECT '--x', \"/*y\" /* z */ FROM t -- end\n```",
            "SELECT '--x', \"/*y\"   FROM t",
        ),
        ("-- only a comment", None),
        ("", None),
        ("S" * 200_000, None),
    ],
)
def test_the_query_is_the_last_sql_block_without_comments(text: str, sql: str | None) -> None:
    assert extract_sql(text) == sql


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_every_text_is_read_fast(text: str) -> None:
    began = time.process_time()
    extract_sql(text)
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("predicted", "gold", "equal"),
    [
        ([(1, "a"), (2, "b")], [(2, "b"), (1, "a")], True),
        ([(1,), (1,)], [(1,)], True),
        ([(1, 2)], [(2, 1)], False),
        ([(1.0,)], [(1,)], True),
        ([("1",)], [(1,)], False),
        ([(None,)], [("None",)], False),
        ([(math.nan,)], [(math.nan,)], True),
        ([(b"x",)], [("x",)], False),
        ([], [(1,)], False),
        ([([1, 2],)], [([1, 2],)], True),
    ],
)
def test_rows_are_compared_as_a_set(
    predicted: list[tuple[object]], gold: list[tuple[object]], equal: bool
) -> None:
    assert same_rows(predicted, gold) is equal


@pytest.mark.parametrize(
    ("predicted", "gold", "options", "equal"),
    [
        ([(9, 1), (9, 2)], [(1,), (2,)], {}, True),
        ([(2,), (1,)], [(1,), (2,)], {}, False),
        ([(2,), (1,)], [(1,), (2,)], {"ignore_order": True}, True),
        ([(1.009,)], [(1,)], {}, True),
        ([(1.011,)], [(1,)], {}, False),
        ([(None,)], [(0,)], {}, True),
        ([(math.nan,)], [(0,)], {}, True),
        ([("0",)], [(0,)], {}, False),
        ([(1,), (1,)], [(1,)], {}, False),
        ([("a", 5)], [("b", 5)], {"condition_cols": [1]}, True),
        ([("a", 5)], [("b", 5)], {"condition_cols": [0, 1]}, False),
        ([(10**400,)], [(1,)], {}, False),
        ([("x",), (None,), (3,)], [(3,), ("x",), (0,)], {"ignore_order": True}, True),
    ],
)
def test_every_right_column_must_be_there(
    predicted: list[tuple[object]], gold: list[tuple[object]], options: dict[str, object], equal: bool
) -> None:
    assert contains_columns(predicted, gold, **options) is equal  # type: ignore[arg-type]


def test_one_of_several_results_with_its_own_columns_is_enough() -> None:
    golds = [[("a", 1)], [("b", 2)]]
    assert matches_any([("b", 2)], golds)
    assert matches_any([("z", 2)], golds, [[0], [1]])
    assert not matches_any([("z", 2)], golds, [0])
    with pytest.raises(ValueError, match="3 entries for 2"):
        matches_any([], golds, [[0], [1], [2]])
    with pytest.raises(ValueError, match="does not fit a result of 2 columns"):
        contains_columns([], golds[0], [5])
