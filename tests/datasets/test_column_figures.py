"""The figures of a data set's columns."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_gym.datasets.statistics import TEMPERATURE, TOOLS, TURNS, WORDS, DistinctTexts, Numbers, Statistics

COUNT = "Total # non-null values"
numbers = st.floats(-1e6, 1e6) | st.integers(-1000, 1000)


def row(asked: Any = "two words", params: dict[str, Any] | None = None, **columns: Any) -> dict[str, Any]:
    return {"responses_create_params": {"input": asked, **(params or {})}, **columns}


def figures(*rows: dict[str, Any], times: int = 1) -> dict[str, Any]:
    made = Statistics()
    for one in rows:
        made.add(one, times)
    return made.figures()


def described(values: list[float]) -> tuple[int, float, float, float, float]:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return len(values), statistics.fmean(values), min(values), max(values), deviation


def told(made: Numbers) -> tuple[int, float, float, float, float]:
    return made.count, made.mean, made.least, made.most, made.deviation


@given(st.lists(st.tuples(numbers, st.integers(1, 5)), min_size=1), st.data())
def test_numbers_are_described_as_the_standard_library_describes_them(
    pairs: list[tuple[float, int]], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(pairs)))
    first, second = Numbers(), Numbers()
    for made, part in ((first, pairs[:cut]), (second, pairs[cut:])):
        for value, times in part:
            made.add(value, times)
    first.merge(second)
    expected = described([float(value) for value, times in pairs for _ in range(times)])
    assert told(first) == pytest.approx(expected, rel=1e-9, abs=1e-6)


@settings(max_examples=30)
@given(st.lists(st.text(max_size=3)), st.lists(st.text(max_size=3)))
def test_different_texts_are_counted_once(first: list[str], second: list[str]) -> None:
    one, other = DistinctTexts(), DistinctTexts()
    for text in first:
        one.add(text)
    for text in second:
        other.add(text)
    one.merge(other)
    assert len(one) == len({*first, *second})
    assert len(other) == len({*second})


def test_many_different_texts_are_counted_without_keeping_them() -> None:
    made = DistinctTexts()
    for number in range(150_000):
        made.add(f"text {number % 100_000}")
    assert len(made) == 100_000


def test_a_request_is_counted_by_tools_words_turns_and_temperature() -> None:
    turns = [
        {"role": role, "content": "a\u3000b c"}
        for role in ("system", "user", "assistant", "user", "developer")
    ]
    found = figures(
        row(turns, {"tools": [{"type": "function", "name": "f"}], "temperature": 0.5}),
        row("one two", {"tools": []}),
        row([]),
        row([{"role": "system", "content": "x"}]),
    )
    assert found["Number of examples"] == 4
    assert found[TOOLS] == {COUNT: 2, "Average": 0.5, "Min": 0.0, "Max": 1.0, "Standard deviation": 0.707}
    assert (found[TURNS][COUNT], found[TURNS]["Max"], found[TURNS]["Min"]) == (2, 2.0, 1.0)
    assert found[TEMPERATURE] == {COUNT: 1, "Average": 0.5, "Min": 0.5, "Max": 0.5, "Standard deviation": 0.0}
    assert found[WORDS]["Min"] == 2.0
    assert found[WORDS]["Max"] == 5 * 5 + 1 + 5 + 2


def test_nothing_to_count_in_a_request_is_zeros_and_in_a_column_nothing() -> None:
    found = figures(row(meta={"a": 1}, gone=None, nested=[[1], {}, None]))
    assert found[TEMPERATURE] == {COUNT: 0, "Average": 0.0, "Min": 0.0, "Max": 0.0, "Standard deviation": 0.0}
    assert {"meta", "gone", "nested"}.isdisjoint(found)


def test_columns_are_numbers_or_texts_and_lists_are_opened_once() -> None:
    found = figures(
        row(score=1, right=True, tags=["a", "b"], agent_ref={"name": "x"}),
        row(score=2.5, right=False, tags=["a", ["c"]]),
        times=2,
    )
    assert found["score"] == {
        COUNT: 4, "Average": 1.75, "Min": 1.0, "Max": 2.5, "Standard deviation": 0.866,
    }  # fmt: skip
    assert (found["right"]["Average"], found["right"][COUNT]) == (0.5, 4)
    assert found["tags"] == {"unique_count": 2, "total_count": 6}
    assert "agent_ref" not in found


def test_numbers_beside_texts_and_numbers_that_no_float_holds_are_told_as_texts() -> None:
    found = figures(row(mixed=1, large=10**400), row(mixed="one", large=10**401), row(mixed="one", large=3))
    assert found["mixed"] == {"unique_count": 1, "total_count": 2}
    assert found["large"] == {"unique_count": 2, "total_count": 2}


def test_a_column_that_is_called_like_a_figure_takes_its_place() -> None:
    assert figures(row(Temperature="warm"))["Temperature"] == {"unique_count": 1, "total_count": 1}


def test_merging_says_the_same_as_one_after_the_other() -> None:
    rows = [row("a " * number, score=number / 3, word=str(number % 4)) for number in range(20)]
    first, second = Statistics(), Statistics()
    for number, one in enumerate(rows):
        (first if number < 7 else second).add(one)
    first.merge(second)
    assert first.figures() == figures(*rows)


def test_an_extreme_number_is_no_error() -> None:
    made = Numbers()
    for value in (1.7e308, -1.7e308, 0.0):
        made.add(value)
    assert made.count == 3
    assert math.isfinite(made.least)
