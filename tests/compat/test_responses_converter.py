"""The converter between Responses and Chat Completions under its original interface."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.compat.openai_utils import NeMoGymChoice, NeMoGymResponseCreateParamsNonStreaming
from nemo_gym.compat.responses_converter import ResponsesConverter, split_responses_input_output_items

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
