"""Tool calls of a conversation as strict engines take them back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.wire.history import CallIds, is_empty, sendable, sendable_arguments
from nemo_gym.wire.items import function_call, function_call_output, user


@pytest.mark.parametrize("text", ["", " \n", "null", " null ", "[]"])
def test_no_arguments_are_an_empty_object(text: str) -> None:
    assert sendable_arguments(text) == "{}"
    assert is_empty(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"city": "Lis', '["Lisbon"]', '"{}"', "3", '{"a":1}{"a":2}', "```json\n{}\n```", '{"x": NaN}',
        '{"city": "Lis\nbon"}', '{"city": "\\ud83d"}', "[" * 5000,
    ],
)  # fmt: skip
def test_arguments_that_are_no_object_are_held_by_one(text: str) -> None:
    assert json.loads(sendable_arguments(text)) == {"INVALID_JSON": text}
    assert not is_empty(text)


@given(st.text() | st.builds(json.dumps, st.dictionaries(st.text(), st.integers() | st.text())))
def test_what_is_sent_is_always_a_json_object(text: str) -> None:
    assert isinstance(json.loads(sendable_arguments(text)), dict)


def test_a_conversation_without_faults_is_sent_as_it_is() -> None:
    items: list[Any] = [
        user("x"), function_call("f", '{"a": 1}', call_id="1"), function_call_output("1", "y"),
        {"role": "user", "content": "z"},
    ]  # fmt: skip
    assert sendable(items) is items


def test_ids_are_unique_and_outputs_follow_their_calls() -> None:
    items: list[Any] = [
        function_call("f", "{}", call_id="x"), function_call("g", "{}", call_id="x"),
        function_call_output("x", "of f"), function_call_output("x", "of g"),
        function_call("h", "{}", call_id="x"), function_call_output("x", "of h"),
        function_call("i", "{}", call_id=""), function_call_output("", "of i"),
        function_call_output("stray", "of nobody"),
    ]  # fmt: skip
    ids = [item["call_id"] for item in sendable(items)]  # type: ignore[typeddict-item]
    assert ids == ["x", "x_1", "x", "x_1", "x_2", "x_2", "call", "call", "stray"]
    assert [item["call_id"] for item in items][:4] == ["x"] * 4


def test_names_that_no_function_can_have_are_made_so_unless_they_are_offered() -> None:
    names = ["functions.ping", " ping", "", "a" * 70, "kept.as_offered", "plain-1"]
    items: list[Any] = [function_call(name, "{}", call_id=str(n)) for n, name in enumerate(names)]
    sent: list[Any] = list(sendable(items, [{"type": "function", "name": "kept.as_offered"}]))
    assert [item["name"] for item in sent] == [
        "functions_ping", "ping", "unnamed", "a" * 64, "kept.as_offered", "plain-1",
    ]  # fmt: skip


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["", "x", "x_1", "functions.f:0"])), max_size=12))
def test_no_two_calls_share_an_id(steps: list[tuple[bool, str]]) -> None:
    ids = CallIds(plain=True)
    called = [ids.of_call(name) if is_call else ids.of_output(name) and "" for is_call, name in steps]
    given_ids = [name for name in called if name]
    assert len(set(given_ids)) == len(given_ids)
    assert all(name.replace("_", "").replace("-", "").isalnum() for name in given_ids)
