"""Repairs a ChatCompletion with small errors of form, after it could not be read.

Only unambiguous errors are repaired: not a missing message, nor wrong token ids. An id, a name or a count of
a wrong type is left out."""

from __future__ import annotations

import codecs
import re
from typing import Any, Final, cast

from nemo_gym.wire.history import arguments_text
from nemo_gym.wire.json_values import count_of, object_of, objects_of, text_of


def repair_text(body: bytes) -> bytes:
    """The same JSON without a byte order mark, and with U+FFFD for half of a character."""
    return _ESCAPES.sub(
        lambda match: match[0] if match[1] or match[2] else b"\\ufffd", body.removeprefix(codecs.BOM_UTF8)
    )


def repair_completion(value: Any) -> Any:
    """The same completion with a list of choices, and with messages, ids and counts of the right types."""
    if isinstance(value, list) and len(objects := cast("list[Any]", value)) == 1:
        value = objects[0]
    completion = object_of(value)
    choices = completion.get("choices")
    if isinstance(choices, dict):
        choices = [cast("Any", choices)]
    if not isinstance(choices, list):
        return cast("Any", value)
    id, created = completion.get("id"), completion.get("created")
    return {
        **completion,
        "choices": [_choice(choice) for choice in cast("list[Any]", choices)],
        "id": str(id) if isinstance(id, int) else _text(id),
        "model": _text(completion.get("model")),
        "created": created if isinstance(created, int | float) and not isinstance(created, bool) else 0,
        "usage": _usage(completion.get("usage")),
    }


_ESCAPES: Final = re.compile(
    rb"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|(\\.)"
)
"""A whole pair of surrogates, one alone, or any other escape."""


def _choice(choice: Any) -> Any:
    if not isinstance(choice, dict):
        return choice
    fields = cast("dict[str, Any]", choice)
    message: Any = fields.get("message")
    if message is None and isinstance(text := fields.get("text"), str):
        message = {"role": "assistant", "content": text}
    if isinstance(message, dict):
        message = _message(cast("dict[str, Any]", message))
    logprobs = fields.get("logprobs")
    valid: Any = cast("Any", logprobs) if isinstance(logprobs, dict) else None
    fields = {**fields, "logprobs": valid, "finish_reason": _text(fields.get("finish_reason"))}
    return fields if message is None else {**fields, "message": message}


def _message(message: dict[str, Any]) -> dict[str, Any]:
    calls = [_call(call) for call in objects_of(message.get("tool_calls"))]
    function = message.get("function_call")
    texts = {name: _text(message.get(name)) for name in ("refusal", "reasoning_content", "reasoning")}
    return {
        **message,
        **texts,
        "content": _content(message.get("content")),
        "tool_calls": calls,
        "function_call": _function(cast("Any", function)) if isinstance(function, dict) else None,
    }


def _content(content: Any) -> Any:
    if isinstance(content, dict):
        return [cast("Any", content)]
    if isinstance(content, list):
        parts = cast("list[Any]", content)
        return [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    return content


def _call(call: dict[str, Any]) -> dict[str, Any]:
    """A tool call with its function inside; some engines write it flat, or only its name."""
    function: Any = call.get("function")
    if not isinstance(function, dict):
        name = function if isinstance(function, str) else call.get("name")
        function = {"name": name, "arguments": call.get("arguments")}
    return {**call, "id": _text(call.get("id")), "function": _function(cast("dict[str, Any]", function))}


def _function(function: dict[str, Any]) -> dict[str, Any]:
    name = {"name": text_of(function["name"])} if "name" in function else {}
    return {**function, **name, "arguments": arguments_text(function.get("arguments"))}


def _usage(value: Any) -> dict[str, Any] | None:
    usage = object_of(value)
    counts = {name: count_of(usage.get(f"{name}_tokens")) for name in ("prompt", "completion", "total")}
    if counts["prompt"] is None or counts["completion"] is None:
        return None
    input_details = object_of(usage.get("prompt_tokens_details"))
    output_details = object_of(usage.get("completion_tokens_details"))
    return {
        **{f"{name}_tokens": count for name, count in counts.items()},
        "prompt_tokens_details": {"cached_tokens": count_of(input_details.get("cached_tokens"))},
        "completion_tokens_details": {"reasoning_tokens": count_of(output_details.get("reasoning_tokens"))},
    }


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
