from __future__ import annotations

from typing import Any

import pytest

from nemo_gym.verifiers.possible_calls import fold, match_possible
from nemo_gym.verifiers.tool_calls import Call

FUNCTION = {
    "name": "book",
    "parameters": {
        "type": "dict",
        "properties": {
            "city": {"type": "string"},
            "price": {"type": "float"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "guest": {"type": "dict"},
            "stops": {"type": "array", "items": {"type": "dict"}},
        },
        "required": ["city"],
    },
}
POSSIBLE = {
    "book": {
        "city": ["New York", "NYC"],
        "price": [10.0, ""],
        "tags": [["a", "b"], ""],
        "guest": [{"name": ["Ada"], "age": [3, ""]}, ""],
        "stops": [[{"at": [1]}, {"at": [2]}], ""],
    }
}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"city": "new-york"}, "right"),
        ({"city": "NYC", "price": 10}, "right"),
        ({"city": "NYC", "price": 11.0}, "wrong_value"),
        ({"city": "NYC", "price": "10"}, "wrong_type"),
        ({"city": "NYC", "price": True}, "wrong_type"),
        ({"city": "Boston"}, "wrong_value"),
        ({"price": 10.0}, "missing_required"),
        ({"city": "NYC", "size": 1}, "unexpected_argument"),
        ({"city": "NYC", "tags": ["A", "b"]}, "right"),
        ({"city": "NYC", "tags": ["b", "a"]}, "wrong_value"),
        ({"city": "NYC", "tags": ["a", 1]}, "wrong_type"),
        ({"city": "NYC", "guest": {"name": "ada"}}, "right"),
        ({"city": "NYC", "guest": {"age": 3}}, "wrong_value"),
        ({"city": "NYC", "guest": {"name": "Ada", "x": 1}}, "wrong_value"),
        ({"city": "NYC", "stops": [{"at": 1}, {"at": 2}]}, "right"),
        ({"city": "NYC", "stops": [{"at": 2}, {"at": 1}]}, "wrong_value"),
        (None, "malformed_arguments"),
    ],
)
def test_arguments_are_among_the_possible_ones(arguments: Any, reason: str) -> None:
    score = match_possible([FUNCTION], [POSSIBLE], [Call("book", arguments)])
    assert (score.value, score.reason) == (float(reason == "right"), reason)


def test_an_optional_argument_may_be_left_out_only_when_the_answers_say_so() -> None:
    possible = {"book": {"city": ["NYC"], "price": [10.0]}}
    assert (
        match_possible([FUNCTION], [possible], [Call("book", {"city": "NYC"})]).reason == "missing_optional"
    )


def test_parallel_calls_match_in_any_order_and_once_each() -> None:
    wants = [{"book": {"city": [name]}} for name in ("Oslo", "Rome")]
    oslo, rome = Call("book", {"city": "Oslo"}), Call("book", {"city": "Rome"})
    assert match_possible([FUNCTION], wants, [rome, oslo]).value == 1.0
    assert match_possible([FUNCTION], wants, [rome, rome]).reason == "wrong_call"
    assert match_possible([FUNCTION], wants, [rome]).reason == "wrong_count"
    assert match_possible([FUNCTION], wants, []).reason == "no_call"


def test_texts_are_compared_without_case_and_punctuation() -> None:
    assert fold("April 1, 2024") == fold("april 1 2024") == "april12024"
    assert fold("it's") == fold('it"s')
