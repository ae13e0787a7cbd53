"""Verdicts about SQL results beside others.

BIRD: beside `compare_dfs_bird_eval_logic` of the package text2sql-eval-toolkit, which reproduces BIRD's
comparison.
Spider 2: no package ships its comparison, so this file has a plain implementation of the written definition,
independent of ours: it is no published grader.
"""

from __future__ import annotations

import math
import random
from typing import Any

import pandas as pd
from text2sql_eval_toolkit.metrics.text2sql_utils import compare_dfs_bird_eval_logic

from nemo_gym.environments.sql_databases import generated_database
from nemo_gym.environments.sql_questions import draw_question, run_own
from nemo_gym.verifiers.sql_results import contains_columns, same_rows

Rows = list[tuple[Any, ...]]

CRAFTED: list[tuple[str, Rows, Rows]] = [
    ("number and its text", [(1,)], [("1",)]),
    ("whole number and equal decimal", [(1,), (2,)], [(1.0,), (2.0,)]),
    ("nothing and the text None", [(None,), ("x",)], [("None",), ("x",)]),
    ("bytes and the same text", [(b"x",)], [("x",)]),
    ("repeated rows", [(1,), (1,)], [(1,)]),
    ("another order", [(2, "b"), (1, "a")], [(1, "a"), (2, "b")]),
    ("another order of columns", [("a", 1)], [(1, "a")]),
    ("one row more", [(1,), (2,)], [(1,)]),
]
DISAGREEMENTS = {
    "number and its text": "ours: BIRD's script compares Python values, where 1 is not '1'",
    "whole number and equal decimal": "ours: BIRD's script compares Python values, where 1 == 1.0",
    "nothing and the text None": "ours: NULL is no text",
    "bytes and the same text": "ours: a BLOB is no text",
}
"""The inputs with different verdicts, and whose is right."""


def inputs() -> list[tuple[str, Rows, Rows]]:
    """Results of right queries of generated questions, each beside a variant of it."""
    rng = random.Random("agreement")
    cases = list(CRAFTED)
    for number in range(640):
        question = draw_question(rng, number % 5)
        name, seed = question.db_id.split("/")[1:]
        database, gold = generated_database(name, seed), list(question.rows)
        cases.append(
            (f"{number} {question.text}", variant(rng, number // 5, gold, database, question.gold_sql), gold)
        )
    return cases


def variant(rng: random.Random, kind: int, gold: Rows, database: Any, sql: str) -> Rows:
    """A result that is right or nearly right."""
    match kind % 8:
        case 0:
            return run_own(database, f"SELECT * FROM ({sql}) ORDER BY 1 DESC")
        case 1:
            return run_own(database, f"SELECT DISTINCT * FROM ({sql})")
        case 2:
            return run_own(database, f"SELECT * FROM ({sql}) LIMIT {max(1, len(gold) - 1)}")
        case 3:
            return [row[::-1] for row in gold]
        case 4:
            return [(*row, "more") for row in gold]
        case 5:
            return [
                tuple(cell + rng.choice((0, 1)) if isinstance(cell, int) else cell for cell in row)
                for row in gold
            ]
        case 6:
            return [*gold, *gold]
        case _:
            return [tuple(cell.upper() if isinstance(cell, str) else cell for cell in row) for row in gold]


def compare(verdicts: list[tuple[str, bool, bool]]) -> dict[str, tuple[bool, bool]]:
    """The inputs with different verdicts, printed as a table."""
    different = {name: (ours, theirs) for name, ours, theirs in verdicts if ours != theirs}
    print(f"\n{len(verdicts)} inputs, {100 * (1 - len(different) / len(verdicts)):.2f}% equal verdicts")
    for name, (ours, theirs) in different.items():
        print(f"| {name} | ours {ours} | theirs {theirs} | {DISAGREEMENTS.get(name, '?')} |")
    return different


def test_bird_verdicts_are_those_of_the_package() -> None:
    verdicts = [
        (name, same_rows(left, right), bool(compare_dfs_bird_eval_logic(frame(left), frame(right))))
        for name, left, right in inputs()
    ]
    different = compare(verdicts)
    assert len(verdicts) >= 500
    assert 150 < sum(ours for _, ours, _ in verdicts) < len(verdicts) - 150
    assert len(different) <= 0.01 * len(verdicts)
    assert set(different) == set(DISAGREEMENTS)


def test_spider2_verdicts_are_those_of_a_plain_implementation_of_the_definition() -> None:
    """Not a published grader: see the head of this file."""
    verdicts: list[tuple[str, bool, bool]] = []
    for ignore_order in (False, True):
        for name, left, right in inputs():
            ours = contains_columns(left, right, ignore_order=ignore_order)
            verdicts.append((f"{ignore_order} {name}", ours, plain_spider2(left, right, ignore_order)))
    assert len(verdicts) >= 500
    assert 150 < sum(ours for _, ours, _ in verdicts) < len(verdicts) - 150
    assert compare(verdicts) == {}


def frame(rows: Rows) -> pd.DataFrame:
    """A result as a frame that keeps each value."""
    return pd.DataFrame(rows, dtype=object)


def plain_spider2(predicted: Rows, gold: Rows, ignore_order: bool) -> bool:
    """Each right column equals one of the columns; nothing and NaN are 0; numbers are equal within 0.01."""
    left, right = frame(predicted), frame(gold)
    return all(any(equal(right[a], left[b], ignore_order) for b in left.columns) for a in right.columns)


def equal(right: Any, left: Any, ignore_order: bool) -> bool:
    """Whether two columns are equal."""
    columns = [
        [0 if value is None or value != value else value for value in column] for column in (right, left)
    ]
    if ignore_order:
        columns = [
            sorted(column, key=lambda value: (isinstance(value, str), str(type(value)), value))
            for column in columns
        ]
    return len(columns[0]) == len(columns[1]) and all(near(a, b) for a, b in zip(*columns, strict=True))


def near(a: Any, b: Any) -> bool:
    """Whether two values are equal."""
    if isinstance(a, str | bytes) or isinstance(b, str | bytes):
        return a == b
    return math.fabs(a - b) <= 0.01 + 1e-9
