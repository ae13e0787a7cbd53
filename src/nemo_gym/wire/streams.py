"""A complete answer as server-sent events, in all three dialects.

Nothing is streamed token by token: clients build the complete answer from its events. Each generator yields
one encoded event at a time. While the answer is not there yet, other events show in each dialect that the
connection is alive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from nemo_gym.wire.chat_parts import token_fields
from nemo_gym.wire.item_events import item_events
from nemo_gym.wire.jsonl import encode


def awaited_response_event(response: Mapping[str, Any], sent: int) -> bytes:
    """An event for a Response that is not complete: first that it is created, then that it is in progress.

    Args:
        response: its fields so far.
        sent: the number of such events before.
    """
    kind = "response.in_progress" if sent else "response.created"
    return _response_event(kind, sent, _unstarted(response))


def response_events(response: Mapping[str, Any], *, sent: int = 0) -> Iterator[bytes]:
    """The events of a Response: created, in progress, those of each item, completed.

    Args:
        sent: the number of `awaited_response_event` before.
    """
    for number in range(sent, 2):
        yield awaited_response_event(response, number)
    number = max(sent, 2)
    for place, item in enumerate(response["output"]):
        for event in item_events(item, place):
            yield _event({"type": event["type"], "sequence_number": number, **event})
            number += 1
    yield _response_event("response.completed", number, response)


def failed_response_events(response: Mapping[str, Any], message: str, *, sent: int = 0) -> Iterator[bytes]:
    """The events of a Response that failed.

    Args:
        response: its fields so far.
        message: the reason.
        sent: as for `response_events`.
    """
    if not sent:
        yield awaited_response_event(response, 0)
    failed = {
        **_unstarted(response),
        "status": "failed",
        "error": {"code": "server_error", "message": message},
    }
    yield _response_event("response.failed", max(sent, 1), failed)


CHAT_AWAITED: Final = b": waiting for the model\n\n"
"""A comment, with which the specification of server-sent events keeps connections open."""


def failed_chat_event(error: Mapping[str, Any]) -> bytes:
    """An error in the form of OpenAI, after the start of the stream."""
    return b"data: %b\n\n" % _line(error)


def chat_events(completion: Mapping[str, Any], *, include_usage: bool) -> Iterator[bytes]:
    """The chunks of a ChatCompletion and `[DONE]`; tokens and log-probabilities come last."""
    choice = completion["choices"][0]
    message = choice["message"]
    deltas: list[dict[str, Any]] = [{"role": "assistant"}]
    texts = ("reasoning_content", "content", "refusal")
    deltas += [{key: message[key]} for key in texts if message.get(key) is not None]
    for place, call in enumerate(message.get("tool_calls") or ()):
        deltas.append({"tool_calls": [{"index": place, **call}]})
    for delta in deltas:
        yield _chunk(completion, [{"index": 0, "delta": delta, "finish_reason": None}])
    last = {**choice, "delta": token_fields(message)}
    del last["message"]
    yield _chunk(completion, [last])
    if include_usage and completion.get("usage"):
        yield _chunk(completion, [], usage=completion["usage"])
    yield b"data: [DONE]\n\n"


MESSAGE_AWAITED: Final = b'event: ping\ndata: {"type": "ping"}\n\n'
"""The event that Anthropic sends."""


def failed_message_event(error: Mapping[str, Any]) -> bytes:
    """An error in the form of Anthropic, after the start of the stream."""
    return _event(error)


def message_events(message: Mapping[str, Any]) -> Iterator[bytes]:
    """The events of an Anthropic Message: start, each block in one delta, why it stopped, stop."""
    usage = message["usage"]
    start: dict[str, Any] = {
        **message,
        "content": [],
        "stop_reason": None,
        "usage": {**usage, "output_tokens": 0},
    }
    yield _event({"type": "message_start", "message": start})
    for index, block in enumerate(message["content"]):
        shell, deltas = _block(block)
        yield _event({"type": "content_block_start", "index": index, "content_block": shell})
        for delta in deltas:
            yield _event({"type": "content_block_delta", "index": index, "delta": delta})
        yield _event({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"]}
    yield _event(
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": usage["output_tokens"]}}
    )
    yield _event({"type": "message_stop"})


def _unstarted(response: Mapping[str, Any]) -> dict[str, Any]:
    empty: dict[str, Any] = {"output": [], "usage": None, "incomplete_details": None, "error": None}
    return {**response, **empty, "status": "in_progress"}


def _response_event(kind: str, number: int, response: Mapping[str, Any]) -> bytes:
    return _event({"type": kind, "sequence_number": number, "response": _with_known_usage(response)})


def _with_known_usage(response: Mapping[str, Any]) -> Mapping[str, Any]:
    """The response without unknown usage details: clients of streams accept no null there."""
    usage: dict[str, Any] | None = response.get("usage")
    if not usage:
        return response
    counts = dict(usage)
    for name in ("input_tokens_details", "output_tokens_details"):
        details: dict[str, int | None] = usage.get(name) or {}
        counts[name] = {key: count for key, count in details.items() if count is not None}
    return {**response, "usage": counts}


def _chunk(completion: Mapping[str, Any], choices: list[dict[str, Any]], **more: Any) -> bytes:
    head = {key: completion[key] for key in ("id", "created", "model")}
    return b"data: %b\n\n" % _line({**head, "object": "chat.completion.chunk", "choices": choices, **more})


def _block(block: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(the empty block, the deltas that fill it)."""
    match block:
        case {"type": "text", "text": text}:
            return {**block, "text": ""}, [{"type": "text_delta", "text": text}]
        case {"type": "thinking", "thinking": text, "signature": signature}:
            deltas = [{"type": "thinking_delta", "thinking": text}]
            if signature:
                deltas.append({"type": "signature_delta", "signature": signature})
            return {**block, "thinking": "", "signature": ""}, deltas
        case {"type": "tool_use", "input": value}:
            return {**block, "input": {}}, [
                {"type": "input_json_delta", "partial_json": encode(value).decode()}
            ]
        case _:
            return dict(block), []


def _event(data: Mapping[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (data["type"].encode(), _line(data))


def _line(data: Mapping[str, Any]) -> bytes:
    """JSON with escapes for the three characters that JSON allows and at which many clients split lines."""
    line = encode(data)
    for raw, escaped in _LINE_ENDS:
        line = line.replace(raw, escaped)
    return line


_LINE_ENDS = [(char.encode(), b"\\u%04x" % ord(char)) for char in "\x85\u2028\u2029"]
