"""A conversation's tool calls in a form that strict engines take back.

What a model wrote stays in the trajectory as it is. Engines, however, parse the arguments of past calls, and
refuse a whole request for one that is not a JSON object, for a name that no function can have, or for two
calls with one id.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

import msgspec

from nemo_gym.wire.items import FunctionCall, Item
from nemo_gym.wire.jsonl import decode, encode

INVALID: Final = "INVALID_JSON"
"""The only key of an object that stands for arguments which are no JSON object; its value is their text. The
convention is that of Anthropic's page on fine-grained tool streaming."""


def sendable(
    items: list[Item], tools: Iterable[Mapping[str, Any]] = (), *, plain_ids: bool = False
) -> list[Item]:
    """The same conversation with tool calls that strict engines accept; `items` itself when nothing is wrong.

    Arguments become a JSON object, names get only the characters that names may have, and ids are made
    unique, in the calls and in the outputs that answer them.

    Args:
        tools: those that are offered; their names are right, whatever they hold.
        plain_ids: whether ids too may have letters, digits, `_` and `-` alone.
    """
    if not any(item.get("type") in _OF_CALLS for item in items):
        return items
    ids = CallIds(plain=plain_ids)
    known: frozenset[str] | None = None
    changes: dict[int, Item] = {}
    for place, item in enumerate(items):
        if item.get("type") == "function_call":
            call = cast("FunctionCall", item)
            change: dict[str, str] = {}
            if not _NAME.fullmatch(call["name"]):
                if known is None:
                    known = frozenset(str(tool.get("name")) for tool in tools)
                if call["name"] not in known:
                    change["name"] = _NOT_IN_NAMES.sub("_", call["name"].strip())[:64] or _NO_NAME
            if (arguments := sendable_arguments(call["arguments"])) is not call["arguments"]:
                change["arguments"] = arguments
            if (call_id := ids.of_call(call["call_id"])) != call["call_id"]:
                change["call_id"] = call_id
            if change:
                changes[place] = cast("Item", {**call, **change})
        elif item.get("type") == "function_call_output":
            call_id = cast("dict[str, str]", item)["call_id"]
            if (of_call := ids.of_output(call_id)) != call_id:
                changes[place] = cast("Item", {**item, "call_id": of_call})
    return [changes.get(place, item) for place, item in enumerate(items)] if changes else items


def sendable_arguments(text: str) -> str:
    """The text itself when it is a JSON object, `{}` when it says that there are no arguments, else an object
    that holds it."""
    if json_object(text) is not None:
        return text
    return "{}" if is_empty(text) else encode({INVALID: text}).decode()


def json_object(text: str) -> dict[str, Any] | None:
    """The JSON object that text is, if it is one."""
    try:
        value = decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def arguments_text(value: Any) -> str:
    """Arguments as an engine gave them, as text; none at all are an empty object."""
    if value is None:
        return "{}"
    return value if isinstance(value, str) else encode(value).decode()


def is_empty(arguments: str) -> bool:
    """Whether arguments say that there are none, as blank text, `null` or an empty list."""
    return arguments.strip() in ("", "null", "[]")


class CallIds:
    """Ids of calls, each once in a conversation, and of the outputs that answer them in turn.

    Args:
        plain: whether ids may have letters, digits, `_` and `-` alone.
    """

    __slots__ = ("_answered", "_counts", "_open", "_plain", "_used")

    def __init__(self, *, plain: bool = False) -> None:
        self._plain = plain
        self._used: set[str] = set()
        self._counts: dict[str, int] = {}
        self._open: dict[str, list[str]] = {}
        self._answered: dict[str, str] = {}

    def of_call(self, call_id: str) -> str:
        """The id of the next call: the one that it has, unless an earlier call has it."""
        wanted = self._form(call_id)
        unique = wanted
        while unique in self._used:
            self._counts[wanted] = self._counts.get(wanted, 0) + 1
            unique = f"{wanted}_{self._counts[wanted]}"
        self._used.add(unique)
        self._open.setdefault(call_id, []).append(unique)
        return unique

    def of_output(self, call_id: str) -> str:
        """The id of the first call of that id that has no output yet, else of the last that has one."""
        if waiting := self._open.get(call_id):
            self._answered[call_id] = waiting.pop(0)
        return self._answered.get(call_id) or self._form(call_id)

    def _form(self, call_id: str) -> str:
        plain = _NOT_IN_NAMES.sub("_", call_id) if self._plain else call_id
        return plain or "call"


_OF_CALLS: Final = frozenset({"function_call", "function_call_output"})
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_-]")
_NO_NAME: Final = "unnamed"
