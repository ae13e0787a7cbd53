"""The items of a sampled text."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.models.policies.answers import answer_items
from nemo_gym.wire.items import message_text

CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1,  "b": [2]}}\n</tool_call>'


def items_of(text: str, *, has_tools: bool = True) -> list[Any]:
    return cast("list[Any]", answer_items(text, id="x", has_tools=has_tools))


def test_words_are_a_message() -> None:
    (message,) = items_of("  hello\n")

    assert message_text(message) == "  hello\n"


def test_a_call_has_its_arguments_as_they_were_written() -> None:
    (call,) = items_of(CALL)

    assert (call["type"], call["name"]) == ("function_call", "add")
    assert call["arguments"] == '{"a": 1,  "b": [2]}'


def test_reasoning_words_and_calls_keep_their_order() -> None:
    items = items_of(f"<think>first\nsecond</think>\n\nI add.\n{CALL}{CALL}")

    assert [item["type"] for item in items] == ["reasoning", "message", "function_call", "function_call"]
    assert items[0]["summary"][0]["text"] == "first\nsecond"
    assert message_text(items[1]) == "I add."
    assert len({item["id"] for item in items}) == 4
    assert items[2]["call_id"] != items[3]["call_id"]


def test_a_template_may_have_opened_the_reasoning() -> None:
    reasoning, message = items_of("I look.</think>yes")

    assert reasoning["summary"][0]["text"] == "I look."
    assert message_text(message) == "yes"


def test_without_tools_there_are_no_calls() -> None:
    (message,) = items_of(CALL, has_tools=False)

    assert message_text(message) == CALL


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>not json</tool_call>",
        '<tool_call>{"name": "add"}</tool_call>',
        '<tool_call>{"name": "add", "arguments": "text"}</tool_call>',
        '<tool_call>{"name": 1, "arguments": {}}</tool_call>',
        '<tool_call>{"name": "add", "arguments": {}}',
        "<tool_call>" * 3,
        "<tool_call>" + "[" * 100_000 + "</tool_call>",
    ],
)
def test_what_is_no_call_stays_in_the_words(text: str) -> None:
    (message,) = items_of(text)

    assert message_text(message) == text


@given(st.text(alphabet='<>/tool_cahink{}"n,: é\ud800') | st.text())
def test_any_text_has_items(text: str) -> None:
    assert items_of(text)
