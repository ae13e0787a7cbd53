"""Tool calls of a conversation as strict engines take them back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.wire.history import CallIds, is_empty, sendable, sendable_arguments, sendable_items
from nemo_gym.wire.items import assistant, function_call, function_call_output, user


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


def _call(id: str) -> Any:
    return function_call("f", "{}", call_id=id)


def _seen(items: list[Any]) -> str:
    """`cX` for a call, `oX` for its output, `n` for one that says that there is none, else the role."""
    words: list[str] = []
    for item in sendable(items):
        fields: dict[str, Any] = dict(item)
        match fields["type"]:
            case "function_call":
                words.append(f"c{fields['call_id']}")
            case "function_call_output":
                words.append(f"o{fields['call_id']}" if fields["output"] == "out" else "n")
            case _:
                words.append(fields.get("role", "r")[0])
    return " ".join(words)


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ("ca u", "ca n u"),
        ("ca u oa", "ca oa u"),
        ("ca cb oa u", "ca cb oa n u"),
        ("ca cb oa a ob u", "ca cb oa ob a u"),
        ("ca cb ob oa u", "ca cb ob oa u"),
        ("ca oa oa u", "ca oa u"),
        ("ca cb oa", "ca cb oa n"),
        ("u ca cb", "u ca cb"),
        ("a ca a oa u cb u", "a ca a oa u cb n u"),
        ("ox u", "ox u"),
    ],
)
def test_every_turn_s_outputs_stand_right_behind_it(said: str, sent: str) -> None:
    kinds: dict[str, Any] = {"u": user("u"), "a": assistant("a")}
    items = [
        kinds.get(word) or (_call(word[1:]) if word[0] == "c" else function_call_output(word[1:], "out"))
        for word in said.split()
    ]
    assert _seen(items) == sent


def test_items_for_an_endpoint_of_the_responses_api_have_ids_of_their_own() -> None:
    thought: Any = {"type": "reasoning", "id": "rs_1", "summary": []}
    items: list[Any] = [
        user("x"), thought, {**_call("1"), "id": "a", "status": None}, function_call_output("1", "y"),
        {**thought, "id": "1"}, {**_call("2"), "id": "fc_a", "status": "odd"}, function_call_output("2", "y"),
        {**assistant("z"), "id": "msg_1"}, {**assistant("z"), "id": "msg_1"},
        thought, user("again"), {**thought, "prompt_token_ids": [1]}, thought,
    ]  # fmt: skip
    sent: list[Any] = sendable_items(items)
    ids = [item.get("id") for item in sent if item["type"] != "function_call_output"]
    assert ids == [None, "rs_1", "fc_a", "rs_1_1", "fc_a_1", "msg_1", "msg_1_1", None, "rs_1_2"]
    assert all(item.get("status") in (None, "completed") and item.get("status", 1) for item in sent)
    assert "reasoning" not in {item["type"] for item in sendable_items(items, keep_reasoning=False)}


def test_the_tokens_of_the_last_call_alone_are_sent() -> None:
    tokens = {"prompt_token_ids": [1], "generation_token_ids": [2], "generation_log_probs": [-0.1]}
    items: list[Any] = [
        user("x"), {**assistant("a"), **tokens, "routed_experts": [[0]]},
        user("y"), {**assistant("b"), **tokens},
    ]  # fmt: skip
    sent: list[Any] = sendable_items(items)
    assert [sorted(item.keys() & tokens) for item in sent] == [[], [], [], sorted(tokens)]
    assert "routed_experts" not in sent[1]
    assert "routed_experts" in items[1]
