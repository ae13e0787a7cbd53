from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.verifiers.tool_calls import (
    Call,
    compare_call,
    compare_values,
    count_matches,
    match_all,
    read_arguments,
    read_calls,
    same_json,
    score_batch,
)

A, B, C = (Call("f", {"x": value}) for value in (1, 2, 3))


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("", {}),
        ("{}", {}),
        ('{"a": [1]}', {"a": [1]}),
        ('{"a": 1, "a": 2}', None),
        ('{"a": NaN}', None),
        ("[1]", None),
        ('{"a": 1', None),
        ("\ud800", None),
        ("\0", None),
        ('{"a": ' + "[" * 40 + "]" * 40 + "}", None),
        ('{"a": "' + "[" * 40 + '"}', {"a": "[" * 40}),
        ('{"a": ' + "9" * 5000 + "}", None),
        ('{"a": "' + "x" * 70_000 + '"}', None),
    ],
)
def test_arguments_are_a_bounded_object(text: str, arguments: object) -> None:
    assert read_arguments(text) == arguments


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    result = read_arguments(text)
    assert result is None or isinstance(result, dict)


def test_a_megabyte_of_brackets_is_refused_at_once() -> None:
    began = time.process_time()
    assert read_arguments("[" * 1_000_000) is None
    assert read_arguments("[" * 60_000) is None
    assert time.process_time() - began < 10


def test_too_many_calls_are_no_calls() -> None:
    assert read_calls([{"name": "f", "arguments": "{}"}] * 65) is None
    assert read_calls([{"name": "f", "arguments": '{"x": 1}'}]) == [A]


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (0, False, False),
        ([1], [True], False),
        ({"a": [1]}, {"a": [1]}, True),
        ("a", "A", False),
        (None, 0, False),
    ],
)
def test_json_values_are_equal_by_kind_and_value(left: object, right: object, same: bool) -> None:
    assert same_json(left, right) is same


@pytest.mark.parametrize(
    ("expected", "actual", "value", "reason"),
    [
        ([A, B], [B, A], 1.0, "right"),
        ([A], [Call("f", {"x": 1, "more": 2})], 1.0, "right"),
        ([A, B], [A, A], 0.0, "wrong_call"),
        ([A], [A, B], 0.0, "wrong_count"),
        ([A], [], 0.0, "no_call"),
        ([A], [Call("g", {"x": 1})], 0.0, "wrong_call"),
        ([A], [Call("f", None)], 0.0, "wrong_call"),
    ],
)
def test_every_expected_call_needs_one_of_its_own(
    expected: list[Call], actual: list[Call], value: float, reason: str
) -> None:
    assert match_all(expected, actual) == (value, reason)


def test_the_matching_is_the_largest_one() -> None:
    wide, narrow = Call("f", {}), Call("f", {"x": 1})
    assert match_all([wide, narrow], [Call("f", {"x": 1}), Call("f", {"x": 2})]).value == 1.0


@given(st.lists(st.sets(st.integers(0, 4)), max_size=5))
def test_the_matching_agrees_with_an_exhaustive_search(options: list[set[int]]) -> None:
    def best(rest: list[set[int]], used: frozenset[int]) -> int:
        if not rest:
            return 0
        skip = best(rest[1:], used)
        return max([skip, *(1 + best(rest[1:], used | {i}) for i in rest[0] - used)])

    wants = [Call("f", {"i": index}) for index in range(len(options))]
    calls = [Call("f", {"i": index}) for index in range(5)]
    size = count_matches(wants, calls, lambda want, call: call.arguments["i"] in options[want.arguments["i"]])  # type: ignore[index]
    assert size == best(options, frozenset())


@pytest.mark.parametrize(
    ("expected", "actual", "threshold", "problem"),
    [
        (1, 1.0, 0.0, "type"),
        (True, 1, 0.0, "type"),
        (1.0, 1.0000005, 0.0, ""),
        (1.0, 1.00001, 0.0, "number"),
        ({"a": 1}, {"b": 1}, 0.0, "keys"),
        ([1, 2], [1], 0.0, "length"),
        ([1, 2], [2, 1], 0.0, "value"),
        ("Rome", "rome", 0.0, "word"),
        ("Rome", "in Rome", 0.0, "word"),
        ("a b c d", "a b x y", 0.25, ""),
        ("a b c d", "a b x y", 0.26, "words"),
        ("a a b", "a b b", 0.34, "words"),
        ("same words here", "same words here", 0.5, ""),
        (None, None, 0.0, ""),
    ],
)
def test_values_are_compared_by_their_type(
    expected: Any, actual: Any, threshold: float, problem: str
) -> None:
    assert compare_values(expected, actual, threshold) == problem


def test_a_call_differs_by_name_then_arguments() -> None:
    assert compare_call(A, A) == ""
    assert compare_call(A, Call("g", {"x": 1})) == "wrong_name"
    assert compare_call(A, Call("f", None)) == "malformed_arguments"
    assert compare_call(A, B) == "wrong_value"


@pytest.mark.parametrize(
    ("actual", "options", "value", "reason"),
    [
        ([B, A], {}, 1.0, "right"),
        ([A], {}, 0.0, "too_few_calls"),
        ([A, B, C], {}, 0.0, "too_many_calls"),
        ([A, C], {"mode": "fractional"}, 0.5, "partly_right"),
        ([A, C], {}, 0.0, "partly_right"),
        ([A], {"mode": "f1", "allow_subset": True}, 2 / 3, "right"),
        ([A, B, C], {"mode": "f1", "allow_superset": True}, 0.8, "right"),
        ([A, B, C], {"allow_superset": True}, 1.0, "right"),
        ([C, C], {"mode": "f1"}, 0.0, "wrong_call"),
        ([], {"mode": "f1", "allow_subset": True}, 0.0, "no_call"),
    ],
)
def test_a_batch_has_a_gate_and_a_mode(actual: list[Call], options: Any, value: float, reason: str) -> None:
    score = score_batch([A, B], actual, **options)
    assert (score.value, score.reason) == (pytest.approx(value), reason)
