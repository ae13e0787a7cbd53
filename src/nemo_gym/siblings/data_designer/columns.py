"""Values of a record by path, and texts with values in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, Literal, cast

import msgspec

from nemo_gym.environments.answer_verdict import answer_items, response_of
from nemo_gym.environments.tool import is_tool_error
from nemo_gym.wire.errors import UsageError, did_you_mean
from nemo_gym.wire.items import FunctionCall, Item
from nemo_gym.wire.json_values import object_of
from nemo_gym.wire.jsonl import encode

Form = Literal["as_is", "text", "json", "json_text", "calls", "answer"]
"""What is made of a column's value:

as_is: the value itself.
text: the value as text; numbers without a needless `.0`.
json: the value of JSON text.
json_text: the value as JSON text.
calls: the tool calls of a trace that succeeded, `{name, arguments}` with the arguments as JSON text.
answer: the text of a trace's last answer.
"""
_SLOT: Final = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


class Unmappable(Exception):
    """A record can't become a task; the message says why."""


def check_path(path: str, columns: Iterable[str], where: str) -> None:
    """Check that the column of a path exists.

    Raises:
        UsageError: it does not.
    """
    names = list(columns)
    if path not in names and path.split(".")[0] not in names:
        raise UsageError(f"{where}: there is no column {path.split('.')[0]!r}.{did_you_mean(path, names)}")


def value_at(record: dict[str, Any], path: str) -> Any:
    """The value of a column, or inside of one: `answer.steps.0`. JSON text on the way is decoded.

    Raises:
        Unmappable: there is no such value.
    """
    if path in record:
        return record[path]
    column, *parts = path.split(".")
    value = _inside(record, column, path)
    if value is None and parts:
        error = record.get(f"{column}__error")  # the column of a generator that gives null for a failure
        raise Unmappable(f"{column} is null{f': {error}' if error else ''}")
    for part in parts:
        value = _inside(_decoded(value), part, path)
    return value


def filled(template: str, record: dict[str, Any]) -> str:
    """A text with the values of the paths in its `{{ }}`.

    Raises:
        Unmappable: a value is missing or null.
    """

    def value(match: re.Match[str]) -> str:
        return formed(value_at(record, match[1]), "text", match[1])

    return _SLOT.sub(value, template)


def paths_in(template: str) -> Iterator[str]:
    """The paths in the `{{ }}` of a text."""
    return (match[1] for match in _SLOT.finditer(template))


def formed(value: Any, form: Form, path: str) -> Any:
    """A value in a form.

    Raises:
        Unmappable: the value has no such form.
    """
    if value is None and form != "as_is":
        raise Unmappable(f"{path} is null")
    match form:
        case "as_is":
            return value
        case "text":
            return _text(value)
        case "json_text":
            return encode(value).decode()
        case "json":
            if not isinstance(value, str):
                return value
            try:
                return msgspec.json.decode(value)
            except (msgspec.DecodeError, RecursionError) as error:
                raise Unmappable(f"{path} is not JSON: {error}") from None
        case "calls" | "answer":
            try:
                items = answer_items(_decoded(value))
            except UsageError as error:
                raise Unmappable(f"{path}: {error}") from None
            if form == "answer":
                return response_of({"output": items}).final_text
            calls = [
                {"name": call["name"], "arguments": call["arguments"]} for call in _successful_calls(items)
            ]
            if not calls:
                raise Unmappable(f"{path} has no tool call that succeeded")
            return calls


def _successful_calls(items: list[Item]) -> list[FunctionCall]:
    """The calls without those that a tool has refused."""
    response = response_of({"output": items})
    refused: set[str] = set()
    for item in cast("list[dict[str, Any]]", items):
        output = item.get("output")
        if item["type"] == "function_call_output" and isinstance(output, str) and is_tool_error(output):
            refused.add(item["call_id"])
    return [call for call in response.function_calls if call["call_id"] not in refused]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return encode(value).decode()


def _decoded(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        return value


def _inside(value: Any, part: str, path: str) -> Any:
    if isinstance(value, dict) and part in value:
        return cast("dict[str, Any]", value)[part]
    if isinstance(value, list) and part.isdecimal() and int(part) < len(cast("list[Any]", value)):
        return cast("list[Any]", value)[int(part)]
    hint = did_you_mean(part, object_of(value))
    raise Unmappable(f"{path} has no {part!r}{hint and '.'}{hint.removesuffix('.')}")
