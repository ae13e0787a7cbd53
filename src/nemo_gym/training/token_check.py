"""The contiguity doctor: why a rollout's tokens don't continue each other, and whether that can be mended.

A trainer joins the model calls of a rollout into one sequence, so the prompt of each call must begin with
the prompt and the sampled tokens of the call before it. Where it does not, the text around the first
differing token shows what happened in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Literal, cast

import msgspec

from nemo_gym.wire.item_text import from_model
from nemo_gym.wire.items import TOKEN_FIELDS, Item
from nemo_gym.wire.json_values import content_text
from nemo_gym.wire.token_packing import ADDED
from nemo_gym.wire.token_spans import Span, TokenFault, read_span

Decode = Callable[[Sequence[int]], str]
"""The text of token ids."""
Cause = Literal[
    "bad_tokens", "call_without_tokens", "foreign_tokens", "text_differs", "retokenised", "reasoning_removed",
    "tool_call_rewritten", "whitespace_changed", "end_of_turn_changed", "history_removed", "history_inserted",
    "history_rewritten", "unknown",
]  # fmt: skip

MEANINGS: Final[dict[Cause, str]] = {
    "bad_tokens": "the token fields of the item are broken",
    "call_without_tokens": "this call has no tokens, but others of the rollout have: ask one engine for all",
    "foreign_tokens": "an item that the policy did not sample carries tokens: remove them",
    "text_differs": "the item has another text than its sampled tokens: something edited the answer",
    "retokenised": "the same text has other tokens: the engine tokenised past answers again",
    "reasoning_removed": "the chat template leaves out the reasoning of past turns: switch that off",
    "tool_call_rewritten": "the same tool call is written differently: its JSON was parsed and written again",
    "whitespace_changed": "only white space differs: the chat template or an agent strips past answers",
    "end_of_turn_changed": "the token that ends the turn differs from the sampled one",
    "history_removed": "earlier turns are missing: the history was cut",
    "history_inserted": "something was inserted into the past: a date, a system prompt or a tool changed",
    "history_rewritten": "the past has another text: it was summarised or edited",
    "unknown": "the tokens differ: give a tokenizer to see the text and the cause",
}
_REPAIRABLE: Final = frozenset(
    {"retokenised", "reasoning_removed", "tool_call_rewritten", "whitespace_changed", "end_of_turn_changed"}
)
"""Causes that change how the past is written, not what it says."""
_WINDOW: Final = 16
"""How many tokens of each side are shown and compared around the first difference."""
_LEAST: Final = 4
"""How many tokens must be the same for two places to be the same text."""


class Finding(msgspec.Struct, kw_only=True):
    """What is wrong with one item of a rollout."""

    item: int
    """The place of the item in `response.output`, from 0."""
    cause: Cause
    detail: str = ""
    position: int | None = None
    """The place of the first differing token in the prompt, from 0."""
    expected_ids: list[int] = []
    """The tokens from there on that the calls before have."""
    actual_ids: list[int] = []
    """The tokens from there on that this call's prompt has."""
    expected_text: str | None = None
    actual_text: str | None = None
    repairable: bool | None = None
    """Whether the sampled tokens put in the place of the rewritten past mend the prompt; None where there is
    no break or no tokenizer."""


def check_tokens(items: Sequence[Item], decode: Decode | None = None) -> list[Finding]:
    """What is wrong with the tokens of a branch, in the order of its items; nothing where it has no tokens.

    Args:
        items: the output of a rollout, expanded or packed.
        decode: the tokenizer's decoding, special tokens included. Without it a break is `unknown`.
    """
    if not any(_has_tokens(item) for item in items):
        return []
    findings: list[Finding] = []
    seen: list[int] | None = None
    for place, item in enumerate(items):
        if _has_tokens(item) and not from_model(item):
            findings.append(Finding(item=place, cause="foreign_tokens"))
            continue
        try:
            span = read_span(item)
        except TokenFault as error:
            return [*findings, Finding(item=place, cause="bad_tokens", detail=str(error))]
        if span is None:
            if _ends_a_call(items, place):
                findings.append(Finding(item=place, cause="call_without_tokens"))
            continue
        prompt = span.prompt_token_ids
        if prompt is not None:
            if seen and prompt[: len(seen)] != seen:
                findings.append(_break(place, seen, prompt, decode))
            seen = prompt
        elif seen is None:
            return [
                *findings,
                Finding(item=place, cause="bad_tokens", detail=f"{ADDED} without tokens before"),
            ]
        else:
            seen.extend(span.added_prompt_token_ids or ())
        if decode is not None and (finding := _edited(place, items, span, decode)):
            findings.append(finding)
        seen.extend(span.generation_token_ids)
    return findings


def spliced(seen: Sequence[int], prompt: Sequence[int]) -> list[int] | None:
    """The prompt with `seen`, the sampled tokens and their prompts, in the place of the rewritten past.

    The last token of `seen` must end a turn. What follows the same number of such tokens in `prompt` is new.

    Returns:
        None when the prompt has not that many turns, or nothing after them.
    """
    if not seen:
        return None
    end, turns = seen[-1], sum(token == seen[-1] for token in seen)
    for place, token in enumerate(prompt):
        if token == end:
            turns -= 1
            if not turns:
                rest = prompt[place + 1 :]
                return [*seen, *rest] if rest else None
    return None


def _break(place: int, seen: list[int], prompt: list[int], decode: Decode | None) -> Finding:
    shorter = min(len(seen), len(prompt))
    first = next((at for at in range(shorter) if seen[at] != prompt[at]), shorter)
    cause = _cause(seen, prompt, first, decode)
    expected, actual = seen[first : first + _WINDOW], prompt[first : first + _WINDOW]
    return Finding(
        item=place,
        cause=cause,
        position=first,
        expected_ids=expected,
        actual_ids=actual,
        expected_text=None if decode is None else decode(expected),
        actual_text=None if decode is None else decode(actual),
        repairable=None if decode is None else cause in _REPAIRABLE and spliced(seen, prompt) is not None,
    )


def _cause(seen: list[int], prompt: list[int], first: int, decode: Decode | None) -> Cause:
    if decode is None:
        return "unknown"
    if cause := _textual_cause(decode(seen), decode(prompt)):
        return cause
    if first == len(seen) - 1:
        return "end_of_turn_changed"
    if _goes_on(prompt[first:], seen, first + 1):
        return "history_removed"
    if _goes_on(seen[first:], prompt, first + 1):
        return "history_inserted"
    return "history_rewritten"


def _textual_cause(past: str, prompt: str) -> Cause | None:
    if prompt.startswith(past):
        return "retokenised"
    if _starts(prompt, past):
        return "whitespace_changed"
    if _same_calls(past, prompt):
        return "tool_call_rewritten"
    past, prompt = _without_reasoning(past), _without_reasoning(prompt)
    return "reasoning_removed" if _starts(prompt, past) or _same_calls(past, prompt) else None


def _starts(prompt: str, past: str) -> bool:
    """Whether the prompt starts with the past, white space aside."""
    return "".join(prompt.split()).startswith("".join(past.split()))


def _without_reasoning(text: str) -> str:
    kept: list[str] = []
    rest = text
    while True:
        before, start, after = rest.partition("<think>")
        _, end, remainder = after.partition("</think>")
        if not (start and end):
            return "".join([*kept, rest])
        kept.append(before)
        rest = remainder


def _same_calls(past: str, prompt: str) -> bool:
    """Whether the two differ only in how JSON objects with the same values are written."""
    while ends := _ends_of_same_object(past, prompt):
        past, prompt = past[ends[0] :], prompt[ends[1] :]
        if _starts(prompt, past):
            return True
    return False


def _ends_of_same_object(past: str, prompt: str) -> tuple[int, int] | None:
    """Where the object around the first difference ends in both; None where its values differ."""
    first = next((at for at, (one, other) in enumerate(zip(past, prompt, strict=False)) if one != other), 0)
    decoder = msgspec.json.Decoder()
    starts = [at for at in range(first, max(first - 4_000, -1), -1) if past[at : at + 1] == "{"]
    for start in starts[:8]:
        one, other = _object_end(past, start), _object_end(prompt, start)
        if one is None or other is None:
            continue
        try:
            same = decoder.decode(past[start:one]) == decoder.decode(prompt[start:other])
        except (msgspec.DecodeError, RecursionError):
            continue
        if same:
            return one, other
    return None


def _object_end(text: str, start: int) -> int | None:
    """Where the JSON object that starts there ends."""
    depth, quoted, escaped = 0, False, False
    for at in range(start, min(len(text), start + 100_000)):
        char = text[at]
        if quoted:
            quoted = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            quoted = True
        elif char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if not depth:
                return at + 1
    return None


def _goes_on(tokens: list[int], other: list[int], start: int) -> bool:
    """Whether the tokens go on as `other` does at a later place."""
    for at in range(start, len(other) - _LEAST + 1):
        size = min(_WINDOW, len(tokens), len(other) - at)
        if size >= _LEAST and tokens[:size] == other[at : at + size]:
            return True
    return False


def _edited(place: int, items: Sequence[Item], span: Span, decode: Decode) -> Finding | None:
    """The call's items say what its tokens say, white space and JSON aside."""
    text = "".join(decode(span.generation_token_ids).split())
    for item in _call_items(items, place):
        said = "".join(_text_of(item).split())
        if said and said not in text:
            return Finding(
                item=place,
                cause="text_differs",
                expected_text=decode(span.generation_token_ids)[:200],
                actual_text=_text_of(item)[:200],
            )
    return None


def _call_items(items: Sequence[Item], last: int) -> Iterator[Item]:
    """The items of the model call that ends with item `last`."""
    yield items[last]
    for item in reversed(items[:last]):
        if not from_model(item) or _has_tokens(item):
            return
        yield item


def _ends_a_call(items: Sequence[Item], place: int) -> bool:
    """Whether this is the last item of a model call."""
    return from_model(items[place]) and (place + 1 == len(items) or not from_model(items[place + 1]))


def _text_of(item: Item) -> str:
    fields = cast("dict[str, Any]", item)
    return content_text(fields.get("content")) if fields.get("type", "message") == "message" else ""


def _has_tokens(item: Item) -> bool:
    return any(item.get(name) is not None for name in TOKEN_FIELDS)
