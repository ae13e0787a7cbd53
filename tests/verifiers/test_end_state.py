from __future__ import annotations

from typing import Any

import pytest

from nemo_gym.verifiers.end_state import differences, folded


@pytest.mark.parametrize(
    ("expected", "actual", "places"),
    [
        ({"a": {"1": {"name": "Ada"}}}, {"a": {"1": {"name": "ADA"}}}, []),
        ({"status": "Open"}, {"status": "open"}, ["status: 'open' instead of 'Open'"]),
        ({"a": 1}, {}, ["a: 1 is missing"]),
        ({}, {"a": 1}, ["a: 1 should not be there"]),
        ({"a": True}, {"a": 1}, ["a: 1 instead of True"]),
        ({"list": [1, 2]}, {"list": [2, 1]}, ["list[0]: 2 instead of 1", "list[1]: 1 instead of 2"]),
        ({"bag": ["b", "A"]}, {"bag": ["a", "B"]}, []),
        ([1], [1, 2], ["state: 2 entries instead of 1"]),
    ],
)
def test_differences_say_where_and_what(expected: Any, actual: Any, places: list[str]) -> None:
    assert differences(expected, actual, case_sensitive={"status"}, unordered={"bag"}) == places


def test_the_report_and_the_depth_are_bounded() -> None:
    deep: Any = 1
    for _ in range(500):
        deep = {"x": deep}
    assert "nested too deep" in differences(deep, deep)[0]
    assert len(differences({str(i): i for i in range(100)}, {})) == 20


def test_folding_keeps_the_case_of_the_fields_that_are_named() -> None:
    assert folded({"a": "X", "status": "X", "l": ["Y"]}, case_sensitive={"status"}) == {
        "a": "x",
        "status": "X",
        "l": ["y"],
    }
