"""What a chat server makes of requests that mean no good."""

from functools import partial

import pytest
from hypothesis import given, settings
from wire_strategies import spoiled

from nemo_gym.wire.chat import chat_request, params_from_chat
from nemo_gym.wire.chat_serving import without_unknown
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.messages import messages_request
from nemo_gym.wire.params import check_served_params

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CHAT = {
    "model": "m",
    "seed": 1,
    "logprobs": True,
    "metadata": {"extra_body": "{}"},
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "s"}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]},
        {"role": "assistant", "content": "a", "reasoning_content": "r", "refusal": "n", "tool_calls": [CALL]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}]},
        {"role": "tool", "tool_call_id": "c", "content": "21"},
    ],
}
TEXT = {"type": "output_text", "text": "a", "annotations": []}
PARAMS = {
    "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "t"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_video", "video": {"url": "v"}}]},
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "s"}]},
        {"type": "reasoning", "id": "r", "summary": [], "content": [{"type": "reasoning_text", "text": "s"}]},
        {"type": "message", "role": "assistant", "content": [TEXT, {"type": "refusal", "refusal": "n"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "o"}]},
    ],
    "include": ["x"],
    "metadata": {"extra_body": "{}"},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}, "verbosity": "low"},
    "reasoning": {"effort": "low"},
    "tools": [{"type": "function", "name": "f", "parameters": {}}],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
}


@settings(max_examples=400)
@given(spoiled(CHAT))
def test_any_request_is_read_or_refused_in_words(body):
    try:
        chat_request(check_served_params(params_from_chat(body)))
    except UsageError:
        return


@settings(max_examples=400)
@given(spoiled(PARAMS))
def test_any_checked_request_can_be_asked_or_refused_in_words(body):
    for ask in (chat_request, partial(messages_request, max_tokens=5)):
        try:
            ask(check_served_params(body))
        except UsageError:
            continue


def test_only_known_fields_are_left_and_none_about_streaming():
    body = {"messages": [], "seed": 1, "stream": True, "stream_options": {}, "top_k": 3}
    assert without_unknown(body) == {"messages": [], "seed": 1}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"messages": [{"role": "user", "content": 5}]}, r"messages\[0\].content"),
        ({"messages": [{"role": "user", "content": [5]}]}, r"messages\[0\].content\[0\]"),
        ({"messages": [{"role": "assistant", "content": 5}]}, r"messages\[0\].content"),
        ({"messages": [{"role": "assistant", "tool_calls": 5}]}, r"messages\[0\].tool_calls"),
        ({"messages": [], "tools": 5}, "tools"),
        ({"messages": [], "metadata": 5, "seed": 1}, "metadata"),
    ],
)
def test_the_wrong_place_is_named(body, message):
    with pytest.raises(UsageError, match=message):
        check_served_params(params_from_chat(body))


SIGNED_CALL = CALL | {
    "extra_content": {"google": {"thought_signature": "s1"}},
    "provider_specific_fields": {"thought_signature": "s2"},
}
DETAILS = [{"type": "reasoning.encrypted", "data": "e", "index": 0}]


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": None, "tool_calls": [SIGNED_CALL, SIGNED_CALL | {"id": "d"}]},
        {"role": "assistant", "content": "a", "extra_content": {"google": {"thought_signature": "s3"}}},
        {"role": "assistant", "content": "a", "reasoning_details": DETAILS},
        {"role": "assistant", "content": None, "reasoning_details": DETAILS, "tool_calls": [SIGNED_CALL]},
    ],
)
def test_what_a_provider_wants_back_survives_a_replay(message):
    question = {"role": "user", "content": "q"}
    asked = params_from_chat({"messages": [question, message, question]})

    assert chat_request(check_served_params(asked), reasoning="field")["messages"][1] == message


@pytest.mark.parametrize("details", ["text", 7, {"a": 1}, [None, "x"]])
def test_details_that_are_not_objects_are_left_out(details):
    items = params_from_chat({"messages": [{"role": "assistant", "reasoning_details": details}]})["input"]

    assert [item["type"] for item in items] == ["message"]
