"""Items: what is well-formed, how errors name the place, and what text a message has."""

from typing import get_args

import pytest
from hypothesis import given
from wire_strategies import json_objects

from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import (
    HostedType,
    assistant,
    check_items,
    function_call,
    function_call_output,
    message_text,
    system,
    user,
)
from nemo_gym.wire.jsonl import decode, encode

TOKENS = {"prompt_token_ids": [], "generation_token_ids": [1], "generation_log_probs": [-0.5]}
WELL_FORMED = [
    user("a"),
    system("b"),
    assistant("c"),
    {"role": "developer", "content": "no type, but a role"},
    {**assistant("d"), **TOKENS},
    {**assistant("e"), **dict.fromkeys(TOKENS)},
    function_call("f", "not even JSON", call_id="1"),
    function_call_output("1", "out"),
    {"type": "function_call_output", "call_id": "1", "output": [{"type": "input_text", "text": "out"}]},
    {"type": "reasoning", "id": "r", "summary": []},
    *({"type": kind} for kind in get_args(HostedType)),
]


@pytest.mark.parametrize("item", WELL_FORMED, ids=lambda item: item.get("type", "easy"))
def test_a_well_formed_item_is_accepted_as_it_is(item):
    items = [item]
    assert check_items(items) is items


@given(json_objects)
def test_unknown_fields_survive_a_round_trip_value_for_value(extra):
    for known in WELL_FORMED:
        item = {f"x_{name}": value for name, value in extra.items()} | known
        assert check_items(decode(encode([item]))) == [item]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("hi", "input: expected a list of items, got a string"),
        (None, "input: expected a list of items, got null"),
        (["hi"], "input[0]: expected an object, got a string"),
        ([user("a"), {}], "input[1].type: unknown item type None."),
        ([{"type": 3}], "input[0].type: unknown item type 3."),
        (
            [{"type": "function_cal"}],
            "input[0].type: unknown item type 'function_cal'. Did you mean 'function_call'",
        ),
        ([{"type": "message", "content": "x"}], "input[0].role: a string is missing"),
        ([{"role": "judge", "content": "x"}], "input[0].role: unknown role 'judge'. Known: user,"),
        ([{"role": "user", "content": 3}], "input[0].content: expected a string or a list, got a number"),
        ([{"role": "user", "content": True}], "input[0].content: expected a string or a list, got a boolean"),
        (
            [{"role": "user", "content": ["x"]}],
            "input[0].content[0]: expected an object with a type, got a string",
        ),
        ([{"role": "user", "content": [{"text": "x"}]}], "input[0].content[0].type: a string is missing"),
        (
            [{"role": "user", "content": [{"type": "input_text"}]}],
            "input[0].content[0].text: a string is missing",
        ),
        (
            [{"type": "reasoning", "summary": [{"type": "summary_text"}]}],
            "input[0].summary[0].text: a string",
        ),
        (
            [{"type": "function_call", "name": "f", "arguments": "{}"}],
            "input[0].call_id: a string is missing",
        ),
        (
            [{"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}],
            "input[0].arguments: expected a string, got an object",
        ),
        ([{"type": "reasoning", "summary": "x"}], "input[0].summary: expected a list, got a string"),
        (
            [{**user("x"), "generation_token_ids": "1"}],
            "input[0].generation_token_ids: expected a list, got a string",
        ),
        (
            [{"role": "user", "content": [{"type": "input_video", "video_url": "a", "video": "b"}]}],
            "input[0].content[0]: exactly one of video_url and video",
        ),
        (
            [{"role": "user", "content": [{"type": "input_video", "video_url": ""}]}],
            "input[0].content[0]: exactly one of video_url and video",
        ),
        (
            [{**user("x"), "generation_token_ids": [1]}],
            "input[0]: generation_token_ids without the rest of prompt_token_ids",
        ),
    ],
)
def test_an_error_names_the_place(value, message):
    with pytest.raises(UsageError) as error:
        check_items(value)
    assert str(error.value).startswith(message)


def test_the_place_begins_where_the_caller_says():
    with pytest.raises(UsageError, match=r"^response\.output\[0\]: "):
        check_items([1], "response.output")


def test_message_text_joins_text_parts_only():
    parts = [
        {"type": "output_text", "text": "a"},
        {"type": "refusal", "refusal": "no"},
        {"type": "input_image", "image_url": "u"},
        {"type": "output_text", "text": "b"},
    ]
    assert message_text({"type": "message", "role": "assistant", "content": parts}) == "ab"
    assert message_text(user("plain")) == "plain"
