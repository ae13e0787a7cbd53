"""The stream events of one output item, from which a client rebuilds the item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from nemo_gym.wire.items import ALL_TOKEN_FIELDS

Event = dict[str, Any]


def item_events(item: Mapping[str, Any], place: int) -> Iterator[Event]:
    """The events of the item at `place` of an output, in their order, without sequence numbers.

    Every text is one delta. Token ids are only in the complete item.
    """
    yield {"type": "response.output_item.added", "output_index": place, "item": _start(item)}
    at = {"item_id": item.get("id") or item.get("call_id") or "", "output_index": place}
    match item:
        case {"type": "message", "content": [*parts]}:
            for index, part in enumerate(cast("list[dict[str, Any]]", parts)):
                yield from _part_events(part, {**at, "content_index": index})
        case {"type": "reasoning"}:
            for index, part in enumerate(_parts(item, "summary")):
                yield from _summary_events(part, {**at, "summary_index": index})
            for index, part in enumerate(_parts(item, "content")):
                yield from _part_events(part, {**at, "content_index": index})
        case {"type": "function_call", "arguments": str(text)}:
            yield from _text_events("function_call_arguments", "arguments", text, at)
        case {"type": "mcp_call", "arguments": str(text)}:
            yield from _text_events("mcp_call_arguments", "arguments", text, at)
        case {"type": "custom_tool_call", "input": str(text)}:
            yield from _text_events("custom_tool_call_input", "input", text, at)
        case _:
            pass
    yield {"type": "response.output_item.done", "output_index": place, "item": item}


_EMPTY: Final[dict[str, dict[str, Any]]] = {
    "message": {"content": []},
    "reasoning": {"summary": []},
    "function_call": {"arguments": ""},
    "mcp_call": {"arguments": ""},
    "custom_tool_call": {"input": ""},
}
"""The fields that an item of each type has at its start."""
_LATER: Final = frozenset({*ALL_TOKEN_FIELDS, "encrypted_content", "output", "error"})
"""Fields that exist only in the complete item."""


def _start(item: Mapping[str, Any]) -> dict[str, Any]:
    """The item at its start; one whose parts have no events of their own is complete."""
    empty = _EMPTY.get(item["type"])
    if empty is None or not isinstance(item.get("content", []), list | None):
        return dict(item)
    start = {key: value for key, value in item.items() if key not in _LATER} | empty
    if item["type"] == "reasoning" and item.get("content"):
        start["content"] = []
    return {**start, "status": "in_progress"} if item.get("status") else start


def _parts(item: Mapping[str, Any], field: str) -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", item.get(field) or [])


def _part_events(part: dict[str, Any], at: dict[str, Any]) -> Iterator[Event]:
    """The events of a part of a message, or of the text of a reasoning item."""
    match part:
        case {"type": "output_text", "text": str(text)}:
            logprobs: list[Any] = part.get("logprobs") or []
            empty: dict[str, Any] = {**part, "text": "", "annotations": []}
            if logprobs:
                empty["logprobs"] = []
            yield {"type": "response.content_part.added", **at, "part": empty}
            yield from _text_events("output_text", "text", text, {**at, "logprobs": logprobs})
            for index, annotation in enumerate(part.get("annotations") or ()):
                kind = "response.output_text.annotation.added"
                yield {"type": kind, **at, "annotation_index": index, "annotation": annotation}
        case {"type": "refusal", "refusal": str(text)}:
            yield {"type": "response.content_part.added", **at, "part": {**part, "refusal": ""}}
            yield from _text_events("refusal", "refusal", text, at)
        case {"type": "reasoning_text", "text": str(text)}:
            yield {"type": "response.content_part.added", **at, "part": {**part, "text": ""}}
            yield from _text_events("reasoning_text", "text", text, at)
        case _:
            yield {"type": "response.content_part.added", **at, "part": part}
    yield {"type": "response.content_part.done", **at, "part": part}


def _summary_events(part: dict[str, Any], at: dict[str, Any]) -> Iterator[Event]:
    text = part.get("text") or ""
    yield {"type": "response.reasoning_summary_part.added", **at, "part": {**part, "text": ""}}
    yield from _text_events("reasoning_summary_text", "text", text, at)
    yield {"type": "response.reasoning_summary_part.done", **at, "part": part}


def _text_events(kind: str, field: str, text: str, at: dict[str, Any]) -> Iterator[Event]:
    """The delta with the whole text, unless that is empty, and the event that ends it."""
    if text:
        yield {"type": f"response.{kind}.delta", **at, "delta": text}
    yield {"type": f"response.{kind}.done", **at, field: text}
