"""The items of a sampled text: reasoning, words, and tool calls in the form of Hermes and Qwen models."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from nemo_gym.wire.items import Item, assistant, function_call

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"
_THINK, _THOUGHT = "<think>", "</think>"


def answer_items(text: str, *, id: str, has_tools: bool) -> list[Item]:
    """The items of an answer, at least one, with unique ids that end with `id`.

    `<think>...</think>` at the start is reasoning; a template may have written the first tag. Where tools are
    offered, each `<tool_call>{"name": ..., "arguments": {...}}</tool_call>` is a call with the arguments as
    they were written. One that is not such an object stays in the words.
    """
    items: list[Item] = []
    thought, text = _split_thought(text)
    if thought:
        items.append(
            {"type": "reasoning", "id": f"rs_{id}", "summary": [{"type": "summary_text", "text": thought}]}
        )
    words, calls = _split_calls(text) if has_tools else (text, [])
    if words.strip() or not calls:
        items.append(assistant(words, id=f"msg_{id}"))
    for place, call in enumerate(calls):
        item = function_call(call.name, bytes(call.arguments).decode(), call_id=f"call_{id}_{place}")
        item["id"] = f"fc_{id}_{place}"
        items.append(item)
    return items


class _Call(msgspec.Struct):
    name: str
    arguments: msgspec.Raw


_decoder = msgspec.json.Decoder(_Call)


def _split_thought(text: str) -> tuple[str, str]:
    before, close, after = text.partition(_THOUGHT)
    if not close:
        return "", text
    return before.strip().removeprefix(_THINK).strip(), after.lstrip("\n")


def _split_calls(text: str) -> tuple[str, list[_Call]]:
    words: list[str] = []
    calls: list[_Call] = []
    for part in _parts(text):
        call = _call(part)
        if call is None:
            words.append(part)
        else:
            calls.append(call)
    joined = "".join(words)
    return (joined.rstrip() if calls else joined), calls


def _parts(text: str) -> Iterator[str]:
    """The text in pieces; each `<tool_call>` block is one."""
    rest = text
    while rest:
        before, start, after = rest.partition(_OPEN)
        if before:
            yield before
        if not start:
            return
        body, end, rest = after.partition(_CLOSE)
        yield f"{start}{body}{end}"


def _call(part: str) -> _Call | None:
    if not (part.startswith(_OPEN) and part.endswith(_CLOSE)):
        return None
    try:
        call = _decoder.decode(part.removeprefix(_OPEN).removesuffix(_CLOSE))
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
    return call if bytes(call.arguments).startswith(b"{") else None
