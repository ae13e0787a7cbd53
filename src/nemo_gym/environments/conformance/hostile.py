"""Answers and tool arguments that every environment must survive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from nemo_gym.wire.items import FunctionCall, function_call
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.params import FunctionTool

HOSTILE_TEXTS: Final[Mapping[str, str]] = {
    "empty text": "",
    "white space": " \n\t ",
    "1 MB of words": "no " * 350_000,
    "1 MB of digits": "7" * 1_000_000,
    "1 MB of opening brackets": "([{<" * 250_000,
    "1 MB of <answer> tags": "<answer>" * 125_000,
    "1 MB of \\boxed{": "\\boxed{" * 140_000,
    "1 MB of white space": "answer:" + " " * 1_000_000 + "x",
    "NUL characters": "\0 answer \0",
    "lone surrogates": "\ud800 answer \udfff",
    "JSON nested 10,000 deep": "[" * 10_000 + "]" * 10_000,
    "JSON objects nested 10,000 deep": '{"a":' * 10_000 + "1" + "}" * 10_000,
}
"""Final texts, by their description."""


def hostile_calls(tool: FunctionTool) -> Iterator[tuple[str, FunctionCall]]:
    """Calls of one tool with arguments that a model could write, each with its description."""
    name = tool.get("name", "")
    deep = HOSTILE_TEXTS["JSON nested 10,000 deep"]
    arguments = {
        "no arguments": "",
        "null as arguments": "null",
        "a list as arguments": "[]",
        "cut-off JSON": '{"a": "b',
        "1 MB that is not JSON": "x" * 1_000_000,
        "NUL characters as arguments": "\0",
        "lone surrogates as arguments": '{"a": "\ud800"}',
        "arguments nested 10,000 deep": deep,
    }
    for what in ("empty text", "1 MB of words", "NUL characters"):
        arguments[f"{what} in every text argument"] = encode(plausible(tool, HOSTILE_TEXTS[what])).decode()
    for first in list(plausible(tool, ""))[:1]:
        arguments[f"{first} nested 10,000 deep"] = f'{{"{first}": {deep}}}'
    for what, value in arguments.items():
        yield f"{name} with {what}", function_call(name, value, call_id="call_0")


def plausible(tool: FunctionTool, text: str) -> dict[str, Any]:
    """Arguments that fit the tool's schema if it is simple, with `text` for every string."""
    parameters = tool.get("parameters", {})
    properties = cast("dict[str, Any]", parameters.get("properties", {}))
    return {name: _value(schema, text) for name, schema in properties.items()}


def _value(schema: Any, text: str) -> Any:
    if not isinstance(schema, dict):
        return text
    fields = cast("dict[str, Any]", schema)
    if fields.get("enum"):
        return fields["enum"][0]
    if fields.get("anyOf"):
        return _value(fields["anyOf"][0], text)
    simple: dict[str, Any] = {"integer": 0, "number": 0.5, "boolean": True, "null": None}
    containers: dict[str, Any] = {"array": [], "object": {}}
    return {**simple, **containers}.get(str(fields.get("type")), text)
