"""Reads JSON from outside: a value of another type is read as an empty one, or by `objects` refused."""

from __future__ import annotations

from typing import Any, cast

from nemo_gym.wire.errors import UsageError


def object_of(value: Any) -> dict[str, Any]:
    """The object, or an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def objects_of(value: Any) -> list[dict[str, Any]]:
    """The objects of a list."""
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return [item for item in items if isinstance(item, dict)]


def content_text(content: Any) -> str:
    """The text of the content of a chat message: a text, or parts of which some have one."""
    return "".join(text_of(part.get("text")) for part in objects_of(content)) or text_of(content)


def text_of(value: Any) -> str:
    """The text, or an empty one."""
    return value if isinstance(value, str) else ""


def count_of(value: Any) -> int | None:
    """A count, also when it is a float or text; None for anything else."""
    if type(value) is int:
        return value if value >= 0 else None
    if value is None:
        return None
    if isinstance(value, str) and len(value) < 16 and value.isdecimal():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
        return None
    return int(value) if value == int(value) else None


def objects(value: object, where: str) -> list[dict[str, Any]]:
    """`value` itself when it is a list of objects.

    Raises:
        UsageError: with the place that is something else.
    """
    if not isinstance(value, list):
        raise UsageError(f"{where}: {'required,' if value is None else 'expected'} a list of objects")
    for place, entry in enumerate(cast("list[object]", value)):
        if not isinstance(entry, dict):
            raise UsageError(f"{where}[{place}]: expected an object")
    return cast("list[dict[str, Any]]", value)
