"""Items, requests and responses of existing code: what an item is read as, and what comes out again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from nemo_gym.compat import openai_items as items
from nemo_gym.compat import openai_utils
from nemo_gym.compat.base_resources_server import BaseVerifyRequest, BaseVerifyResponse
from nemo_gym.compat.openai_utils import (
    REQUIRED_TOKEN_METADATA_FIELDS,
    TOKEN_METADATA_FIELDS,
    NeMoGymResponse,
    NeMoGymResponseCreateParamsNonStreaming,
    NeMoGymResponseReasoningItem,
    NeMoGymResponseUsage,
    accumulate_response_usage,
)

TOKENS = {"prompt_token_ids": [1, 2], "generation_token_ids": [3], "generation_log_probs": [-0.5]}
SAID = {"type": "output_text", "text": "hi", "annotations": []}
ITEMS: list[tuple[dict[str, Any], type]] = [
    ({"role": "user", "content": "hi"}, items.NeMoGymEasyInputMessage),
    ({"role": "assistant", "content": "hi"}, items.NeMoGymEasyInputMessage),
    (
        {"role": "user", "content": [{"type": "input_text", "text": "hi"}], "status": "completed"},
        items.NeMoGymMessage,
    ),
    (
        {"type": "message", "id": "m", "role": "assistant", "content": [SAID]},
        items.NeMoGymResponseOutputMessage,
    ),
    (
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        items.NeMoGymResponseFunctionToolCall,
    ),
    (
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "namespace": "files"},
        items.NeMoGymResponseFunctionToolCall,
    ),
    ({"type": "function_call_output", "call_id": "c", "output": "o"}, items.NeMoGymFunctionCallOutput),
    ({"type": "reasoning", "id": "r", "summary": []}, items.NeMoGymResponseReasoningItem),
    ({"type": "web_search_call", "id": "w", "anything": [1]}, items.NeMoGymHostedItem),
]


def read(item: dict[str, Any]) -> Any:
    (found,) = NeMoGymResponseCreateParamsNonStreaming.model_validate({"input": [item]}).input
    return found


@pytest.mark.parametrize(("item", "kind"), ITEMS, ids=[kind.__name__ for _, kind in ITEMS])
def test_an_item_is_read_as_its_kind_and_survives(item: dict[str, Any], kind: type) -> None:
    found = read(item)
    assert type(found) is kind
    again = read(found.model_dump(exclude_unset=True) | {"type": found.type})
    assert again == found
    assert found.model_dump(exclude_unset=True) == item


@pytest.mark.parametrize("item", [item for item, kind in ITEMS if kind in items.RESPONSES_TO_TRAIN])
def test_token_fields_are_kept_all_three_or_refused(item: dict[str, Any]) -> None:
    found = read(item | TOKENS)
    assert TOKENS.items() <= found.model_dump().items()
    for missing in TOKENS:
        with pytest.raises(ValidationError, match=missing):
            read(item | {name: value for name, value in TOKENS.items() if name != missing})


def test_items_that_were_constructed_are_taken_as_they_are() -> None:
    message = items.NeMoGymResponseOutputMessage(
        id="m", content=[{"type": "output_text", "text": "a", "annotations": []}]
    )
    params = NeMoGymResponseCreateParamsNonStreaming(input=[message])
    assert params.input[0] is message


def test_an_output_item_needs_its_type_an_input_message_does_not() -> None:
    message = {"role": "assistant", "id": "m", "content": [SAID]}
    assert isinstance(read(message), items.NeMoGymResponseOutputMessage)
    with pytest.raises(ValidationError, match="output"):
        NeMoGymResponse.model_validate(a_response([message]))


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_video"},
        {"type": "input_video", "video": "a", "video_url": "b"},
        {"type": "input_video", "video_url": ""},
        {"type": "input_video", "video_url": {}},
    ],
)
def test_a_video_has_exactly_one_source(part: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read({"role": "user", "content": [part]})


def test_a_video_with_one_source_is_kept() -> None:
    part = {"type": "input_video", "video_url": {"url": "https://example.org/v.mp4"}}
    assert read({"role": "user", "content": [part]}).content == [part]


def test_output_text_is_that_of_assistant_messages_alone() -> None:
    output = [
        {"type": "message", "role": "user", "content": "question"},
        {
            "type": "message",
            "id": "m",
            "role": "assistant",
            "content": [SAID, {"type": "refusal", "refusal": "no"}],
        },
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "message", "id": "n", "role": "assistant", "content": [SAID | {"text": " there"}]},
    ]
    assert NeMoGymResponse.model_validate(a_response(output)).output_text == "hi there"


def test_fields_of_tools_that_the_sdk_does_not_know_are_kept() -> None:
    body = a_response([]) | {"tools": [{"type": "of_next_year", "size": 3}], "tool_choice": {"type": "new"}}
    response = NeMoGymResponse.model_validate(body).model_dump(exclude_unset=True)
    assert (response["tools"], response["tool_choice"]) == (body["tools"], body["tool_choice"])


counts = st.none() | st.integers(0, 10**6)


@given(st.lists(st.tuples(st.integers(0, 10**6), counts, counts), min_size=1, max_size=5))
def test_unknown_usage_details_stay_unknown(calls: list[tuple[int, int | None, int | None]]) -> None:
    total = None
    for tokens, cached, thought in calls:
        total = accumulate_response_usage(total, usage(tokens, cached, thought))
    assert total is not None
    assert total.total_tokens == 2 * sum(tokens for tokens, _, _ in calls)
    caches = [cached for _, cached, _ in calls]
    assert total.input_tokens_details.cached_tokens == (None if None in caches else sum(caches))


FORMAT = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "name": "f", "parameters": {}, "strict": True, "async": True, "newer": 1},
    {"type": "custom", "name": "c", "async": True},
    {
        "type": "namespace",
        "name": "s",
        "description": "d",
        "tools": [{"type": "function", "name": "g", "async": True}],
    },
    {"type": "something newer", "async": True},
]
NAMED_OTHERWISE: dict[str, dict[str, Any]] = {
    "text": {"text": {"format": FORMAT, "verbosity": "low"}},
    "tools": {"tools": TOOLS},
    "instructions": {
        "instructions": [
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "async": True},
            {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "x", "async": True},
            {"role": "user", "content": "hi", "type": "message"},
        ]
    },
    "plain instructions": {"instructions": "hi"},
}


@pytest.mark.parametrize("fields", NAMED_OTHERWISE.values(), ids=NAMED_OTHERWISE)
@pytest.mark.parametrize("unset", [False, True])
def test_what_the_sdk_names_otherwise_survives_dump_and_construction(
    fields: dict[str, Any], unset: bool
) -> None:
    params = {"input": "x", **{name: value for name, value in fields.items() if name in ("text", "tools")}}
    given = {"responses_create_params": params, "response": {**a_response([]), **fields}}
    read = BaseVerifyRequest.model_validate(given)

    echoed = BaseVerifyResponse(**read.model_dump(exclude_unset=unset), reward=1.0)

    wire = json.loads(echoed.model_dump_json(exclude_none=True))
    assert params.items() <= wire["responses_create_params"].items()
    again = BaseVerifyRequest.model_validate(wire)
    for dump in (read, echoed, again):
        plain = dump.model_dump(exclude_unset=True, exclude_none=True, mode="json")["response"]
        for name, value in fields.items():
            assert plain.get(name) == value
    assert again.model_dump_json(exclude_none=True) == read.model_dump_json(exclude_none=True)


def test_no_other_field_holds_anything_that_the_sdk_names_otherwise() -> None:
    holding = {
        (name, field)
        for name, kind in vars(openai_utils).items()
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind.__module__.startswith("nemo_gym")
        for field, info in kind.model_fields.items()
        if any(one.alias not in (None, key) for key, one in fields_within(info.annotation, set()))
    }
    assert holding == {("NeMoGymResponse", name) for name in ("text", "tools", "instructions")}


def fields_within(annotation: Any, seen: set[type]) -> Iterator[tuple[str, FieldInfo]]:
    """The fields of every model that values of a type may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation not in seen:
            seen.add(annotation)
            for name, info in annotation.model_fields.items():
                yield name, info
                yield from fields_within(info.annotation, seen)
    else:
        for argument in get_args(annotation):
            yield from fields_within(argument, seen)


def usage(tokens: int, cached: int | None, thought: int | None) -> NeMoGymResponseUsage:
    return NeMoGymResponseUsage.model_validate(
        {
            "input_tokens": tokens,
            "input_tokens_details": {"cached_tokens": cached},
            "output_tokens": tokens,
            "output_tokens_details": {"reasoning_tokens": thought},
            "total_tokens": 2 * tokens,
        }
    )


def a_response(output: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": "r",
        "created_at": 1.0,
        "model": "m",
        "object": "response",
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }


def test_the_names_of_token_fields_are_sets() -> None:
    assert {
        "prompt_token_ids",
        "generation_token_ids",
        "generation_log_probs",
    } == REQUIRED_TOKEN_METADATA_FIELDS
    assert REQUIRED_TOKEN_METADATA_FIELDS | {"routed_experts"} == TOKEN_METADATA_FIELDS
    assert TOKEN_METADATA_FIELDS - {"routed_experts"} == REQUIRED_TOKEN_METADATA_FIELDS


def test_usages_are_summed_and_what_one_does_not_know_the_sum_does_not_know() -> None:
    total = NeMoGymResponseUsage.sum_from_list([usage(2, 1, 0), usage(3, 2, 0)])
    assert (total.input_tokens, total.output_tokens, total.total_tokens) == (5, 5, 10)
    assert total.input_tokens_details.cached_tokens == 3
    assert (
        NeMoGymResponseUsage.sum_from_list(
            [usage(2, 1, 0), usage(3, None, 0)]
        ).input_tokens_details.cached_tokens
        is None
    )
    nothing = NeMoGymResponseUsage.sum_from_list([])
    assert (nothing.total_tokens, nothing.output_tokens_details.reasoning_tokens) == (0, 0)


@pytest.mark.parametrize("content", [None, [{"type": "reasoning_text", "text": "t"}]])
def test_a_reasoning_item_keeps_its_content(content: Any) -> None:
    item = NeMoGymResponseReasoningItem(id="r", summary=[], content=content)
    assert item.model_dump()["content"] == content
    assert "content" not in NeMoGymResponseReasoningItem(id="r", summary=[]).model_dump(exclude_unset=True)
