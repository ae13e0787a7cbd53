"""JSON Schemas of bodies that several routes have."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from nemo_gym.environments.base import Environment
from nemo_gym.wire import keys

_TEXT: Final = {"type": "string"}
_CONTENT: Final = {
    "anyOf": [
        _TEXT,
        {
            "type": "array",
            "items": {
                "anyOf": [
                    {
                        "type": "object",
                        "properties": {"type": {"enum": ["input_text", "output_text"]}, "text": _TEXT},
                        "required": ["type", "text"],
                    },
                    {
                        "type": "object",
                        "properties": {
                            "type": {"enum": ["input_image", "input_file", "input_video", "refusal"]}
                        },
                        "required": ["type"],
                    },
                ]
            },
        },
    ]
}
ITEM: Final[dict[str, Any]] = {
    "anyOf": [
        {
            "type": "object",
            "properties": {
                "type": {"const": "message"},
                "role": {"enum": ["user", "assistant", "system", "developer"]},
                "content": _CONTENT,
            },
            "required": ["type", "role", "content"],
        },
        {
            "type": "object",
            "properties": {
                "type": {"const": "function_call"},
                "call_id": _TEXT,
                "name": _TEXT,
                "arguments": _TEXT,
            },
            "required": ["type", "call_id", "name", "arguments"],
        },
        {
            "type": "object",
            "properties": {"type": {"const": "function_call_output"}, "call_id": _TEXT, "output": _CONTENT},
            "required": ["type", "call_id", "output"],
        },
        {
            "type": "object",
            "properties": {"type": {"const": "reasoning"}, "summary": {"type": "array", "maxItems": 0}},
            "required": ["type", "summary"],
        },
    ]
}
"""One item of a trajectory. The items of hosted tools are left out, because no code here reads them."""

PARAMS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "input": {"anyOf": [_TEXT, {"type": "array", "items": ITEM}]},
        "instructions": {"type": ["string", "null"]},
        "max_output_tokens": {"type": ["integer", "null"], "minimum": 1},
        "temperature": {"type": ["number", "null"], "minimum": 0},
        "top_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
        "parallel_tool_calls": {"type": "boolean"},
        "metadata": {"type": ["object", "null"], "additionalProperties": _TEXT},
    },
    "required": ["input"],
}
"""The request parameters of a model call."""

RESPONSE: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "id": _TEXT,
        "object": {"const": "response"},
        "model": _TEXT,
        "status": _TEXT,
        "output": {"type": "array", "items": ITEM},
        "incomplete_details": {"type": ["object", "null"]},
        "usage": {"type": ["object", "null"]},
    },
    "required": ["output"],
}
"""A model's answer or a whole trajectory."""


def _conversation(*roles: str) -> dict[str, Any]:
    """A request whose messages are plain text; the many parts that they may also have are left out."""
    message = {
        "type": "object",
        "properties": {"role": {"enum": roles}, "content": _TEXT},
        "required": ["role", "content"],
    }
    return {
        "type": "object",
        "properties": {
            "model": {"type": ["string", "null"]},
            "messages": {"type": "array", "items": message},
            "max_tokens": {"type": ["integer", "null"], "minimum": 1},
            "temperature": {"type": ["number", "null"], "minimum": 0},
            "stream": {"enum": [False, None]},
        },
        "required": ["messages"],
    }


CHAT: Final = _conversation("system", "developer", "user", "assistant")
"""A Chat Completions request."""

MESSAGES: Final = _conversation("user", "assistant")
"""An Anthropic Messages request."""


def task_schema(environment: Environment) -> dict[str, Any]:
    """The fields that a task row of an environment must have; others are allowed."""
    try:
        return msgspec.json.schema(environment.Task)
    except TypeError:
        return {"type": "object"}


def with_response(row: dict[str, Any]) -> dict[str, Any]:
    """The schema of a row with its response."""
    body = {"type": "object", "properties": {keys.RESPONSE: RESPONSE}, "required": [keys.RESPONSE]}
    return {**body, "allOf": [row]}
