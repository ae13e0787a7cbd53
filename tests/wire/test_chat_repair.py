"""ChatCompletions whose form is a little off."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nemo_gym.wire.chat import chat_response

CALL = {"id": "a", "type": "function", "function": {"name": "ping", "arguments": "{}"}}


def read(message: Any, **choice: Any) -> Any:
    return chat_response(json.dumps({"choices": [{"message": message, **choice}]}).encode())


@pytest.mark.parametrize(
    "message",
    [
        {"content": "hi", "tool_calls": {}},
        {"content": "hi", "tool_calls": [None]},
        {"content": {"type": "text", "text": "hi"}},
        {"content": ["h", {"type": "text", "text": "i"}]},
        {"content": "hi", "refusal": False},
        {"content": "hi", "function_call": "none"},
    ],
    ids=str,
)
def test_what_the_message_says_is_read(message: dict[str, Any]) -> None:
    response = read(message)
    assert (response.output_text, response.function_calls) == ("hi", [])


@pytest.mark.parametrize(
    "calls",
    [
        [CALL, None],
        [{"id": "a", "name": "ping", "arguments": "{}"}],
        [{"id": "a", "function": "ping", "arguments": {}}],
    ],
    ids=str,
)
def test_calls_are_read_wherever_their_name_is(calls: list[Any]) -> None:
    (call,) = read({"content": None, "tool_calls": calls}).function_calls
    assert (call["name"], call["arguments"]) == ("ping", "{}")


@pytest.mark.parametrize(
    "body",
    [
        [{"choices": [{"message": {"content": "hi"}}]}],
        {"choices": {"message": {"content": "hi"}}},
        {"choices": [{"text": "hi", "finish_reason": "stop"}]},
        {"choices": [{"message": {"content": "hi"}, "logprobs": []}]},
    ],
    ids=str,
)
def test_the_shape_around_the_message_does_not_matter(body: Any) -> None:
    assert chat_response(json.dumps(body).encode()).output_text == "hi"


@pytest.mark.parametrize(
    "body",
    [
        [], "hi", 3, None, {"choices": [None]}, {"choices": [{}]}, {"choices": [{"message": None}]},
        {"choices": [{"message": {"content": 3}}]}, {"choices": None},
        {"choices": [{"message": {"content": "hi", "generation_token_ids": [-1]}}]},
    ],
    ids=str,
)  # fmt: skip
def test_what_says_nothing_stays_an_error(body: Any) -> None:
    with pytest.raises(ValueError, match="not a ChatCompletion"):
        chat_response(json.dumps(body).encode())


@pytest.mark.parametrize("reason", ["error", "abort", "network_error", "insufficient_system_resource"])
def test_an_answer_that_broke_off_is_no_answer(reason: str) -> None:
    with pytest.raises(ValueError, match=f"broke off: finish_reason is '{reason}'"):
        read({"content": "half of"}, finish_reason=reason)


@pytest.mark.parametrize(
    ("reason", "incomplete", "detail"),
    [
        ("max_tokens", "max_output_tokens", None),
        ("model_length", "max_output_tokens", "context_overflow"),
        ("SAFETY", "content_filter", None),
        ("sensitive", "content_filter", None),
        ("eos", None, None),
        (7, None, None),
    ],
)
def test_reasons_of_other_providers(reason: Any, incomplete: str | None, detail: str | None) -> None:
    response = read({"content": "hi"}, finish_reason=reason)
    assert response.incomplete_reason == incomplete
    assert (response.data["incomplete_details"] or {}).get("detail") == detail


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (r"a\ud83d b", "a\ufffd b"),
        (r"\udc00\ud83d", "\ufffd\ufffd"),
        (r"\ud83d\ude00 \uD83D", "\U0001f600 \ufffd"),
        (r"\\ud83d \ud83d", r"\ud83d" + " \ufffd"),
    ],
)
def test_half_a_character_does_not_cost_the_answer(written: str, text: str) -> None:
    body = '{"choices": [{"message": {"content": "%s"}}]}' % written  # noqa: UP031
    assert chat_response(body.encode()).output_text == text
    assert chat_response(b"\xef\xbb\xbf" + body.encode()).output_text == text


def test_a_function_call_of_nothing_is_none() -> None:
    response = read({"content": "hi", "function_call": {"name": None, "arguments": None}})
    assert (response.output_text, response.function_calls) == ("hi", [])
