"""Joins a stream of server-sent events into one answer, in each dialect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from nemo_gym.compat.handlers import object_in
from nemo_gym.wire.json_values import object_of, objects_of, text_of
from nemo_gym.wire.jsonl import decode
from nemo_gym.wire.model_call import Dialect


def reassemble(data: bytes, dialect: Dialect) -> tuple[dict[str, Any] | None, bool]:
    """(the answer, or None for a stream without one; whether the stream is complete)."""
    events = list(_events(data))
    match dialect:
        case "responses":
            return _response(events)
        case "chat":
            return _completion(events, b"[DONE]" in data)
        case "messages":
            return _message(events)


def _response(events: list[dict[str, Any]]) -> tuple[dict[str, Any] | None, bool]:
    last: dict[str, Any] | None = None
    is_whole = False
    for event in events:
        if isinstance(event.get("response"), dict):
            last = event["response"]
            is_whole = event.get("type") in ("response.completed", "response.incomplete", "response.failed")
    return last, is_whole


def _completion(events: list[dict[str, Any]], ended: bool) -> tuple[dict[str, Any] | None, bool]:
    head: dict[str, Any] = {}
    texts: dict[str, str] = {}
    calls: dict[int, dict[str, Any]] = {}
    finish: str | None = None
    has_choice = False
    for event in events:
        head.update({key: event[key] for key in ("id", "created", "model", "usage") if event.get(key)})
        for choice in objects_of(event.get("choices")):
            has_choice = True
            finish = text_of(choice.get("finish_reason")) or finish
            delta = object_of(choice.get("delta"))
            for name, other in (("content", ""), ("reasoning_content", "reasoning")):
                if part := text_of(delta.get(name)) or text_of(delta.get(other)):
                    texts[name] = texts.get(name, "") + part
            for part in objects_of(delta.get("tool_calls")):
                _add_call(calls, part)
    if not has_choice:
        return None, False
    message: dict[str, Any] = {"role": "assistant", "content": None, **texts}
    if calls:
        message["tool_calls"] = [calls[place] for place in sorted(calls)]
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {**head, "object": "chat.completion", "choices": [choice]}, ended or finish is not None


def _add_call(calls: dict[int, dict[str, Any]], part: dict[str, Any]) -> None:
    new: dict[str, Any] = {"type": "function", "function": {"name": "", "arguments": ""}}
    place = part.get("index")
    call = calls.setdefault(place if isinstance(place, int) else 0, new)
    if part.get("id"):
        call["id"] = part["id"]
    function = object_of(part.get("function"))
    for name in ("name", "arguments"):
        call["function"][name] += text_of(function.get(name))


def _message(events: list[dict[str, Any]]) -> tuple[dict[str, Any] | None, bool]:
    message: dict[str, Any] | None = None
    blocks: dict[int, dict[str, Any]] = {}
    inputs: dict[int, str] = {}
    is_whole = False
    for event in events:
        place = event.get("index")
        match event.get("type"):
            case "message_start":
                start = object_of(event.get("message"))
                message = {**start, "usage": dict(object_of(start.get("usage")))}
            case "content_block_start" if isinstance(place, int):
                blocks[place] = dict(object_of(event.get("content_block")))
            case "content_block_delta" if isinstance(place, int):
                _add_delta(blocks.setdefault(place, {}), inputs, place, object_of(event.get("delta")))
            case "message_delta" if message is not None:
                message.update(object_of(event.get("delta")))
                message["usage"] = {**object_of(message.get("usage")), **object_of(event.get("usage"))}
            case "message_stop":
                is_whole = True
            case _:
                pass
    if message is None:
        return None, False
    for place, text in inputs.items():
        try:
            blocks[place]["input"] = decode(text.encode("utf-8", "replace"))
        except msgspec.DecodeError:
            blocks[place]["input"], is_whole = text, False
    message["content"] = [blocks[place] for place in sorted(blocks)]
    return message, is_whole


def _add_delta(block: dict[str, Any], inputs: dict[int, str], place: int, delta: dict[str, Any]) -> None:
    for name in ("text", "thinking", "signature"):
        if part := text_of(delta.get(name)):
            block[name] = text_of(block.get(name)) + part
    if part := text_of(delta.get("partial_json")):
        inputs[place] = inputs.get(place, "") + part


def _events(data: bytes) -> Iterator[dict[str, Any]]:
    """The JSON objects in the data lines of the events. Other lines are ignored."""
    for line in data.replace(b"\r\n", b"\n").split(b"\n"):
        if (
            line.startswith(b"data:")
            and (event := object_in(line.removeprefix(b"data:").strip())) is not None
        ):
            yield event
