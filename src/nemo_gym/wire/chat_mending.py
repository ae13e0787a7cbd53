"""A ChatCompletion whose form is a little off, put into the usual one.

Only what nobody can misunderstand is mended, and only after an answer could not be read: a missing message,
or token ids that make no sense, stay what they are.
"""

from __future__ import annotations

import codecs
import re
from typing import Any, Final, cast

from nemo_gym.wire.loose import object_of, objects_of


def readable(body: bytes) -> bytes:
    """The same JSON without a byte order mark, and with U+FFFD for half of a character."""
    return _ESCAPES.sub(
        lambda found: found[0] if found[1] or found[2] else b"\\ufffd", body.removeprefix(codecs.BOM_UTF8)
    )


def mended_completion(value: Any) -> Any:
    """The same completion with a list of choices, and messages whose fields have the types they should."""
    if isinstance(value, list) and len(objects := cast("list[Any]", value)) == 1:
        value = objects[0]
    completion = object_of(value)
    choices = completion.get("choices")
    if isinstance(choices, dict):
        choices = [cast("Any", choices)]
    if not isinstance(choices, list):
        return cast("Any", value)
    return {**completion, "choices": [_choice(choice) for choice in cast("list[Any]", choices)]}


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
    known: Any = cast("Any", logprobs) if isinstance(logprobs, dict) else None
    return fields if message is None else {**fields, "message": message, "logprobs": known}


def _message(message: dict[str, Any]) -> dict[str, Any]:
    calls = [_call(call) for call in objects_of(message.get("tool_calls"))]
    refusal = message.get("refusal")
    function = message.get("function_call")
    return {
        **message,
        "content": _content(message.get("content")),
        "tool_calls": calls,
        "refusal": refusal if isinstance(refusal, str) else None,
        "function_call": function if isinstance(function, dict) else None,
    }


def _content(content: Any) -> Any:
    if isinstance(content, dict):
        return [cast("Any", content)]
    if isinstance(content, list):
        parts = cast("list[Any]", content)
        return [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    return content


def _call(call: dict[str, Any]) -> dict[str, Any]:
    """A tool call with its function inside; some engines write it flat, or name it only."""
    function = call.get("function")
    if isinstance(function, dict):
        return call
    name = function if isinstance(function, str) else call.get("name")
    return {**call, "function": {"name": name, "arguments": call.get("arguments")}}
