"""The converter between Responses and Chat Completions under its original interface."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.compat.openai_utils import (
    NeMoGymChatCompletion,
    NeMoGymChoice,
    NeMoGymResponseCreateParamsNonStreaming,
)
from nemo_gym.compat.responses_converter import (
    ResponsesConverter,
    ResponsesConverterState,
    _usage_detail,
    split_responses_input_output_items,
)

TOKENS = {"prompt_token_ids": [1], "generation_token_ids": [2], "generation_log_probs": [-0.1]}
CONVERTER = ResponsesConverter(return_token_id_information=True, uses_reasoning_parser=True)


def asked(items: Any, **fields: Any) -> dict[str, Any]:
    params = NeMoGymResponseCreateParamsNonStreaming.model_validate({"input": items, **fields})
    return CONVERTER.responses_to_chat_completion_create_params(params).model_dump(exclude_unset=True)


def test_one_turn_of_the_assistant_is_one_message_with_the_last_tokens() -> None:
    found = asked(
        [
            {"role": "user", "content": "q"},
            {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": t} for t in "ab"]},
            {"role": "assistant", "content": "text"},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", **TOKENS},
            {"type": "function_call_output", "call_id": "c", "output": "o"},
        ]
    )["messages"]
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert found == [
        {"role": "user", "content": "q"},
        {
            "role": "assistant",
            "content": "<think>a</think><think>b</think>text",
            "tool_calls": [call],
            **TOKENS,
        },
        {"role": "tool", "tool_call_id": "c", "content": "o"},
    ]


def test_instructions_and_leading_system_messages_are_one() -> None:
    messages = asked(
        [{"role": "developer", "content": "b"}, {"role": "user", "content": "q"}], instructions="a"
    )
    assert messages["messages"][0] == {"role": "system", "content": "a\n\nb"}


def test_contents_that_came_as_parts_stay_parts() -> None:
    part = {"type": "input_text", "text": "x"}
    found = asked(
        [
            {"role": "user", "content": "s"},
            {"role": "user", "content": [part]},
            {"role": "system", "content": [part]},
        ]
    )
    assert [message["content"] for message in found["messages"]] == [
        "s",
        [{"type": "text", "text": "x"}],
        [{"type": "text", "text": "x"}],
    ]
    assert asked("s")["messages"] == [{"role": "user", "content": [{"type": "text", "text": "s"}]}]


def test_what_chat_cannot_say_is_not_implemented() -> None:
    with pytest.raises(NotImplementedError, match="web_search_call"):
        asked([{"type": "web_search_call", "id": "w"}])
    with pytest.raises(ValueError, match="no tools"):
        asked("q", tool_choice="required")


def test_a_choice_becomes_items_with_ids_and_tokens_on_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter(range(9))
    monkeypatch.setattr("nemo_gym.responses_converter.uuid4", lambda: UUID(int=next(numbers)))
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": "<think>a</think>B", "tool_calls": [call], **TOKENS}
    choice = NeMoGymChoice.model_validate({"index": 0, "finish_reason": "tool_calls", "message": message})
    thought, said, called = (item.model_dump() for item in CONVERTER.postprocess_chat_response(choice))
    assert (thought["id"], thought["summary"][0]["text"]) == (f"rs_{UUID(int=0).hex}", "a")
    assert (said["id"], said["content"][0]["text"]) == (f"msg_{UUID(int=1).hex}", "B")
    assert called["call_id"] == "c"
    assert TOKENS.items() <= called.items()
    assert "prompt_token_ids" not in said


@pytest.mark.parametrize("content", [None, "", "text", "<think>open", "a</think>b"])
def test_an_answer_is_never_nothing(content: str | None) -> None:
    items = CONVERTER.postprocess_assistant_message_dict({"role": "assistant", "content": content})
    assert [item.type for item in items] == ["message"]  # type: ignore[attr-defined]


@given(st.lists(st.sampled_from(["<think>", "</think>", "a", "b"])))
def test_tags_are_taken_out_and_nothing_else(parts: list[str]) -> None:
    content = "".join(parts)
    thoughts, text = CONVERTER._parse_think_tags(content)
    left = sum(map(len, thoughts)) + len(text) + len(thoughts) * len("<think></think>")
    assert left == len(content)
    expected = CONVERTER.THINK_TAG_PATTERN.findall(content)
    assert (thoughts, text) == (expected, CONVERTER.THINK_TAG_PATTERN.sub("", content))


def test_a_history_becomes_items_and_is_split_where_the_assistant_begins() -> None:
    history = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": "x"},
        {"role": "tool", "tool_call_id": "c", "content": "o"},
    ]
    items = CONVERTER.chat_completions_messages_to_responses_items(history)
    given_, made = split_responses_input_output_items(items)
    assert [item.role for item in given_] == ["system", "user"]  # type: ignore[attr-defined]
    assert [item.type for item in made] == ["message", "function_call_output"]  # type: ignore[attr-defined]


def chat_answer(finish_reason: str = "stop", usage: Any = None, **message: Any) -> NeMoGymChatCompletion:
    choice = {"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", **message}}
    fields = {"id": "c", "object": "chat.completion", "created": 7, "model": "engine", "choices": [choice]}
    return NeMoGymChatCompletion.model_validate({**fields, "usage": usage})


def answered(completion: NeMoGymChatCompletion, **params: Any) -> dict[str, Any]:
    asking = NeMoGymResponseCreateParamsNonStreaming.model_validate({"input": "q", **params})
    return CONVERTER.chat_completion_to_response(asking, completion).model_dump()


def test_a_chat_answer_becomes_the_response_to_its_request() -> None:
    tool = {"type": "function", "name": "f", "parameters": {}, "strict": False}
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    completion = chat_answer("tool_calls", content="<think>a</think>B", tool_calls=[call], **TOKENS)
    found = answered(completion, model="m", tools=[tool], temperature=0.5, metadata={"k": "v"})
    assert [item["type"] for item in found["output"]] == ["reasoning", "message", "function_call"]
    assert {name: found["output"][-1][name] for name in TOKENS} == TOKENS
    assert (found["id"][:5], found["object"], found["created_at"]) == ("resp_", "response", 7)
    assert (found["model"], found["temperature"], found["metadata"]) == ("m", 0.5, {"k": "v"})
    assert found["tools"][0]["name"] == "f"
    assert (found["status"], found["incomplete_details"], found["usage"]) == ("completed", None, None)


@pytest.mark.parametrize(
    ("finish_reason", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
def test_an_answer_that_was_cut_off_is_incomplete(finish_reason: str, reason: str) -> None:
    found = answered(chat_answer(finish_reason, content="x"))
    assert (found["status"], found["incomplete_details"]) == ("incomplete", {"reason": reason})


COUNTS = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 9}


@pytest.mark.parametrize(
    ("details", "cached", "thought"),
    [
        ({}, None, None),
        (
            {
                "prompt_tokens_details": {"cached_tokens": 1},
                "completion_tokens_details": {"reasoning_tokens": 0},
            },
            1,
            0,
        ),
        ({"cache_read_input_tokens": 4, "reasoning_output_tokens": 5}, 4, 5),
        ({"prompt_tokens_details": {"cached_tokens": None}, "cached_input_tokens": 6}, 6, None),
        ({"cached_input_tokens": -1, "reasoning_output_tokens": True}, None, None),
    ],
)
def test_counts_are_the_endpoints_and_unknown_ones_stay_unknown(
    details: dict[str, Any], cached: int | None, thought: int | None
) -> None:
    usage = answered(chat_answer(content="x", usage={**COUNTS, **details}))["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (3, 2, 9)
    assert usage["input_tokens_details"]["cached_tokens"] == cached
    assert usage["output_tokens_details"]["reasoning_tokens"] == thought
    assert _usage_detail({**COUNTS, **details}, "prompt_tokens_details", "cached_tokens") in (cached, None)


def test_a_message_without_calls_has_no_list_of_them() -> None:
    found = asked([{"role": "user", "content": "q"}, {"role": "assistant", "content": "text"}])["messages"]
    assert found[1] == {"role": "assistant", "content": "text"}
    state = ResponsesConverterState(return_token_id_information=False, content_buffer="text")
    state.flush_assistant()
    assert state.messages == [{"role": "assistant", "content": "text"}]


def test_a_converter_may_find_reasoning_in_a_way_of_its_own() -> None:
    class Own(ResponsesConverter):
        def _extract_reasoning_from_content(self, content: str) -> tuple[list[str], str]:
            thought, _, text = content.partition("|")
            return [thought], text

    items = Own(return_token_id_information=False).postprocess_assistant_message_dict({"content": "a|b"})
    assert [item.type for item in items] == ["reasoning", "message"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("first", "is_generated"),
    [
        ({"type": "web_search_call", "id": "w", "status": "completed"}, True),
        ({"type": "mcp_list_tools", "id": "m", "server_label": "s", "tools": []}, True),
        ({"type": "function_call_output", "call_id": "c", "output": "o"}, False),
        ({"role": "user", "content": "q"}, False),
    ],
)
def test_what_the_endpoint_ran_itself_is_generated_and_what_it_was_answered_is_not(
    first: dict[str, Any], is_generated: bool
) -> None:
    items = NeMoGymResponseCreateParamsNonStreaming.model_validate({"input": [first]}).input
    assert not isinstance(items, str)
    given_, generated = split_responses_input_output_items(items)
    assert (len(given_), len(generated)) == ((0, 1) if is_generated else (1, 0))
