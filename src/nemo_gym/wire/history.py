"""Puts the tool calls of a conversation into a form that strict engines accept.

The text of a model stays in the trajectory as it is. But engines read the arguments of past calls, and refuse
a whole request for arguments that are not a JSON object, for a name that no function can have, for two calls
with one id, or for a call that is not followed by its output."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

import msgspec

from nemo_gym.wire.items import (
    ALL_TOKEN_FIELDS,
    ID_PREFIXES,
    TOKEN_FIELDS,
    FunctionCall,
    Item,
    function_call_output,
)
from nemo_gym.wire.json_values import text_of
from nemo_gym.wire.jsonl import decode, encode

INVALID: Final = "INVALID_JSON"
"""The only key of an object that replaces arguments which are no JSON object; its value is their text. This
is the convention of Anthropic's page on fine-grained tool streaming."""


def sendable(
    items: list[Item], tools: Iterable[Mapping[str, Any]] = (), *, plain_ids: bool = False
) -> list[Item]:
    """The same conversation with tool calls that strict engines accept; `items` itself when nothing is wrong.

    Arguments become a JSON object, names lose the characters that names can't have, and ids become unique, in
    the calls and in their outputs. Outputs follow the turn with their calls; a call without an output gets
    one that says so.

    Args:
        tools: the offered tools, whose names stay as they are.
        plain_ids: allow only letters, digits, `_` and `-` in ids too.
    """
    if _is_sendable(items, plain_ids):
        return items
    ids = CallIds(plain=plain_ids)
    names: frozenset[str] | None = None
    changes: dict[int, Item] = {}
    for place, item in enumerate(items):
        if item.get("type") == "function_call":
            call = cast("FunctionCall", item)
            change: dict[str, str] = {}
            if not _NAME.fullmatch(call["name"]):
                if names is None:
                    names = frozenset(str(tool.get("name")) for tool in tools)
                if call["name"] not in names:
                    change["name"] = _NOT_IN_NAMES.sub("_", call["name"].strip())[:64] or _NO_NAME
            if (arguments := sendable_arguments(call["arguments"])) is not call["arguments"]:
                change["arguments"] = arguments
            if (call_id := ids.of_call(call["call_id"])) != call["call_id"]:
                change["call_id"] = call_id
            if change:
                changes[place] = cast("Item", {**call, **change})
        elif item.get("type") == "function_call_output":
            call_id = cast("dict[str, str]", item)["call_id"]
            if (new_id := ids.of_output(call_id)) != call_id:
                changes[place] = cast("Item", {**item, "call_id": new_id})
    return _paired([changes.get(place, item) for place, item in enumerate(items)])


def sendable_items(items: list[Item], *, keep_reasoning: bool = True) -> list[Item]:
    """The same items with ids that an endpoint of the Responses API accepts: unique, and with the prefix of
    their kind. An invalid status is left out, and so is reasoning without tokens that no item of the model
    follows.

    Only the tokens of the last model call stay. They cover all that came before; with those of every call the
    requests of a conversation would grow with the square of its length.
    """
    ids: dict[str, int] = {}
    result: list[Item] = []
    last = next((place for place in range(len(items) - 1, -1, -1) if _has_tokens(items[place])), None)
    for place, item in enumerate(items):
        fields = cast("dict[str, Any]", item)
        kind = fields.get("type", "message")
        if kind == "reasoning" and not (keep_reasoning and _is_followed(items, place)):
            continue
        change: dict[str, Any] = {}
        if place != last and _has_tokens(item):
            fields = {key: value for key, value in fields.items() if key not in ALL_TOKEN_FIELDS}
        if "status" in fields and text_of(fields["status"]) not in _STATUSES:
            fields = {key: value for key, value in fields.items() if key != "status"}
        if isinstance(id := fields.get("id"), str) and kind in ID_PREFIXES:
            if kind == "message" and fields.get("role") != "assistant":
                valid_id = id
            else:
                valid_id = id if id.startswith(ID_PREFIXES[kind]) else f"{ID_PREFIXES[kind]}_{id}"
            number = ids[valid_id] = ids.get(valid_id, -1) + 1
            if number:
                valid_id = f"{valid_id}_{number}"
            if valid_id != id:
                change["id"] = valid_id
        result.append(cast("Item", {**fields, **change}) if change else cast("Item", fields))
    return result


def _is_followed(items: list[Item], place: int) -> bool:
    """Whether reasoning has tokens, or another item of the model follows it."""
    if _has_tokens(items[place]):
        return True
    for item in items[place + 1 :]:
        if item.get("type") != "reasoning":
            return _is_of_model(item)
    return False


def _has_tokens(item: Item) -> bool:
    return cast("dict[str, Any]", item).get(TOKEN_FIELDS[0]) is not None


def _is_sendable(items: list[Item], plain_ids: bool) -> bool:
    """Whether every call is right, and the outputs of every turn's calls follow the turn at once. Calls at
    the very end may have no output yet."""
    call_ids: set[str] = set()
    waiting: set[str] = set()
    answering = False
    for item in cast("list[Any]", items):
        kind = item.get("type")
        if kind == "function_call_output":
            call_id: str = item["call_id"]
            if call_id not in waiting:
                return False
            waiting.remove(call_id)
            answering = True
        elif waiting and (answering or not _is_of_model(item)):
            return False
        elif kind == "function_call":
            call_id = item["call_id"]
            if not call_id or call_id in call_ids or not _NAME.fullmatch(item["name"]):
                return False
            if as_json_object(item["arguments"]) is None or (plain_ids and _NOT_IN_NAMES.search(call_id)):
                return False
            call_ids.add(call_id)
            waiting.add(call_id)
            answering = False
    return not (waiting and answering)


def _paired(items: list[Item]) -> list[Item]:
    """The same items with the outputs of each turn's calls right after it, in the order of the calls."""
    calls = {call["call_id"] for item in items if (call := cast("Any", item)).get("type") == "function_call"}
    outputs: dict[str, Item] = {}
    for item in items:
        if item.get("type") == "function_call_output":
            outputs.setdefault(cast("dict[str, str]", item)["call_id"], item)
    result: list[Item] = []
    waiting: list[str] = []
    for item in [*items, None]:
        call_id = cast("dict[str, str]", item or {}).get("call_id", "")
        if waiting and (outputs.keys() & waiting if item is None else not _is_of_model(item)):
            result += [outputs.get(id) or function_call_output(id, _NO_OUTPUT) for id in waiting]
            waiting = []
        if item is None or (item.get("type") == "function_call_output" and call_id in calls):
            continue
        if item.get("type") == "function_call":
            waiting.append(call_id)
        result.append(item)
    return result


def _is_of_model(item: Item) -> bool:
    if item.get("type", "message") == "message":
        return cast("dict[str, str]", item).get("role") == "assistant"
    return item.get("type") != "function_call_output"


def sendable_arguments(text: str) -> str:
    """The text itself when it is a JSON object, `{}` for no arguments, else an object with the text."""
    if as_json_object(text) is not None:
        return text
    return "{}" if is_empty(text) else encode({INVALID: text}).decode()


def as_json_object(text: str) -> dict[str, Any] | None:
    """The JSON object in a text; None when the text is something else."""
    try:
        value = decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def arguments_text(value: Any) -> str:
    """The arguments of an engine as text; None is an empty object."""
    if value is None:
        return "{}"
    return value if isinstance(value, str) else encode(value).decode()


def is_empty(arguments: str) -> bool:
    """Whether arguments mean that there are none: blank text, `null` or an empty list."""
    return arguments.strip() in ("", "null", "[]")


class CallIds:
    """Makes the ids of calls unique in a conversation, and finds the ids of their outputs.

    Args:
        plain: allow only letters, digits, `_` and `-`.
    """

    __slots__ = ("_counts", "_ids", "_last_output", "_open", "_plain")

    def __init__(self, *, plain: bool = False) -> None:
        self._plain = plain
        self._ids: set[str] = set()
        self._counts: dict[str, int] = {}
        self._open: dict[str, list[str]] = {}
        self._last_output: dict[str, str] = {}

    def of_call(self, call_id: str) -> str:
        """The id of the next call: its own, unless an earlier call has it."""
        valid_id = self._form(call_id)
        unique = valid_id
        while unique in self._ids:
            self._counts[valid_id] = self._counts.get(valid_id, 0) + 1
            unique = f"{valid_id}_{self._counts[valid_id]}"
        self._ids.add(unique)
        self._open.setdefault(call_id, []).append(unique)
        return unique

    def of_output(self, call_id: str) -> str:
        """The new id of the first call with that id that has no output yet, else of the last one."""
        if waiting := self._open.get(call_id):
            self._last_output[call_id] = waiting.pop(0)
        return self._last_output.get(call_id) or self._form(call_id)

    def _form(self, call_id: str) -> str:
        plain = _NOT_IN_NAMES.sub("_", call_id) if self._plain else call_id
        return plain or "call"


_STATUSES: Final = frozenset({"completed", "incomplete", "in_progress"})
_NO_OUTPUT: Final = "There is no output."
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_-]")
_NO_NAME: Final = "unnamed"
