"""The contiguity doctor finds and names each defect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from nemo_gym.training.token_check import Cause, check_tokens, spliced
from nemo_gym.wire.items import assistant, function_call, function_call_output, user
from nemo_gym.wire.token_packing import pack_items
from tests.support.trajectories import with_tokens

END = 3
MERGED = {500: "he", 501: "ll"}


def encode(text: str) -> list[int]:
    """One token a character; `|` ends a turn."""
    return [END if char == "|" else ord(char) for char in text]


def decode(ids: Sequence[int]) -> str:
    return "".join(MERGED.get(token) or ("|" if token == END else chr(token)) for token in ids)


def two_calls(
    first: str, prompt: str | list[int], *, answer: Any = None, start: str = "U:hi|A:"
) -> list[Any]:
    """A call that answers `first`, and one with this prompt."""
    ids = encode(prompt) if isinstance(prompt, str) else prompt
    return [
        with_tokens(answer or assistant(first.rstrip("|")), encode(start), encode(first)),
        user("more"),
        with_tokens(assistant("done"), ids, encode("done|")),
    ]


def only(items: list[Any], decoder: Any = decode) -> Any:
    (finding,) = check_tokens(items, decoder)
    assert check_tokens(pack_items(items), decoder) == [finding], "packed rows give the same finding"
    return finding


DEFECTS: dict[Cause, tuple[list[Any], bool | None]] = {
    "retokenised": (two_calls("hello|", [*encode("U:hi|A:"), 500, 501, *encode("o|U:more|A:")]), True),
    "reasoning_removed": (
        two_calls("<think>hm</think>yes|", "U:hi|A:yes|U:more|A:", answer=assistant("yes")),
        True,
    ),
    "tool_call_rewritten": (
        two_calls(
            'call {"a":1,"b": [2]}|',
            'U:hi|A:call {"b": [2], "a": 1}|T:ok|A:',
            answer=function_call("call", '{"a":1,"b": [2]}', call_id="c"),
        ),
        True,
    ),
    "whitespace_changed": (two_calls("yes \n|", "U:hi|A:yes|U:more|A:"), True),
    "end_of_turn_changed": (
        [
            with_tokens(assistant("yes"), encode("U:hi|A:"), [*encode("yes"), 7]),
            with_tokens(assistant("done"), encode("U:hi|A:yes|U:more|A:"), encode("done|")),
        ],
        False,
    ),
    "history_removed": (two_calls("yes|", "A:yes|U:more|A:"), False),
    "history_inserted": (two_calls("yes|", "S:today|U:hi|A:yes|U:more|A:"), False),
    "history_rewritten": (two_calls("yes|", "S:they said hello|U:more|A:"), False),
}


@pytest.mark.parametrize("cause", DEFECTS)
def test_each_break_is_named(cause: Cause) -> None:
    items, repairable = DEFECTS[cause]

    finding = only(items)

    assert (finding.cause, finding.repairable) == (cause, repairable)
    assert finding.expected_ids[:1] != finding.actual_ids[:1]
    assert finding.expected_text == decode(finding.expected_ids)


@pytest.mark.parametrize(
    ("past", "prompt"),
    [
        pytest.param(
            '<think>hm</think>call {"a":1,"b": [2]}|',
            'U:hi|A:call {"b": [2], "a": 1}|T:ok|A:',
            id="and a tool call is rewritten",
        ),
        pytest.param(
            "<think>one</think>a|U:x|A:<think>two</think>b|",
            "U:hi|A:a|U:x|A:<think>two</think>b|T:ok|A:",
            id="only of turns before the last question",
        ),
        pytest.param("a|U:x|A:b|", "U:hi|A:<think></think>a|U:x|A:b|T:ok|A:", id="an empty one is written"),
    ],
)
def test_reasoning_that_changes_together_with_something_else_is_named(past: str, prompt: str) -> None:
    (finding,) = [one for one in check_tokens(two_calls(past, prompt), decode) if one.position is not None]

    assert (finding.cause, finding.repairable) == ("reasoning_removed", True)


def test_very_many_rewritten_calls_are_named() -> None:
    calls = 2_000
    (finding, *_) = check_tokens(
        two_calls('{"a":1,"b":2}' * calls + "|", "U:hi|A:" + '{"b":2,"a":1}' * calls + "|T:ok|A:"), decode
    )

    assert finding.cause == "tool_call_rewritten"


def test_a_break_has_its_first_differing_token() -> None:
    finding = only(two_calls("hello|", "U:hi|A:hexlo|U:more|A:"))

    assert (finding.item, finding.position) == (2, 9)
    assert decode(finding.expected_ids) == "llo|"
    assert decode(finding.actual_ids) == "xlo|U:more|A:"


def test_without_a_tokenizer_the_ids_are_shown_and_the_cause_is_not_guessed() -> None:
    finding = only(DEFECTS["reasoning_removed"][0], None)

    assert finding.cause == "unknown"
    assert finding.expected_text is None
    assert finding.position == 7


def test_calls_without_tokens_beside_calls_with_them() -> None:
    items = [*two_calls("yes|", "U:hi|A:yes|U:more|A:"), user("and"), assistant("silent")]

    assert only(items).cause == "call_without_tokens"


def test_the_items_of_one_call_need_tokens_only_on_the_last() -> None:
    call = function_call("f", "{}", call_id="c")
    first = [assistant("yes"), with_tokens(call, encode("U:|"), encode("yes f{}|"))]
    seen = encode("U:|yes f{}|")
    items = [
        *first,
        function_call_output("c", "ok"),
        with_tokens(assistant("end"), [*seen, 9], encode("end|")),
    ]

    assert check_tokens(items, decode) == []


def test_tokens_on_an_item_that_no_policy_sampled() -> None:
    items = two_calls("yes|", "U:hi|A:yes|U:more|A:")
    items[1] = with_tokens(items[1], [1], [2])

    assert only(items).cause == "foreign_tokens"


def test_an_edited_answer() -> None:
    items = two_calls("yes|", "U:hi|A:yes|U:more|A:", answer=assistant("no"))

    finding = only(items)

    assert (finding.cause, finding.item) == ("text_differs", 0)
    assert (finding.expected_text, finding.actual_text) == ("yes|", "no")


def test_broken_fields() -> None:
    items = two_calls("yes|", "U:hi|A:yes|U:more|A:")
    items[2]["generation_log_probs"] = [0.5] * 5

    finding = only(items)

    assert (finding.cause, finding.item) == ("bad_tokens", 2)
    assert "above 0" in finding.detail


def test_added_tokens_without_a_start_are_broken() -> None:
    _, added = pack_items([two_calls("yes|", "U:hi|A:yes|U:more|A:")[place] for place in (0, 2)])

    (finding,) = check_tokens([added], decode)

    assert (finding.cause, finding.item) == ("bad_tokens", 0)


def test_rollouts_that_are_right_have_no_finding() -> None:
    assert check_tokens(two_calls("yes|", "U:hi|A:yes|U:more|A:"), decode) == []
    assert check_tokens([assistant("no tokens at all")], decode) == []


def test_a_splice_keeps_the_sampled_tokens() -> None:
    seen = encode("U:hi|A:hello|")
    prompt = [*encode("U:hi|A:"), 500, 501, *encode("o|U:more|A:")]

    assert spliced(seen, prompt) == encode("U:hi|A:hello|U:more|A:")
    assert spliced(seen, encode("U:hi|")) is None
    assert spliced([], prompt) is None
