"""The text of a task, by which tasks are compared."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple, cast

import msgspec

from nemo_gym.wire import keys
from nemo_gym.wire.errors import DataError
from nemo_gym.wire.json_values import objects_of
from nemo_gym.wire.task import Row, named_agent


class TaskText(NamedTuple):
    """What a task says."""

    text: str | None
    """The messages without the system prompt, or else all texts of the row; None when it has neither."""
    system: str
    frame: bytes
    """A digest of the agent, the system prompt, the tools and the images. Rows with different frames are
    never duplicates."""

    @property
    def whole(self) -> str:
        """The text with the system prompt."""
        return f"{self.system}\n{self.text or ''}" if self.system else self.text or ""

    @property
    def key(self) -> bytes:
        """The same for the same task. Spaces and forms of the same character make no difference."""
        plain = unicodedata.normalize("NFC", " ".join((self.text or "").split()))
        return _digest([self.frame.hex(), plain])


def task_text(row: Row, fields: Sequence[str] = ()) -> TaskText:
    """The text of a row: of its input, or of the columns in `fields` (`question`, `verifier_metadata.hint`).

    Raises:
        DataError: the row lacks one of the fields.
    """
    params: Any = row.get(keys.PARAMS)
    params = cast("Row", params) if isinstance(params, dict) else {}
    parts = _Parts()
    value = params.get("input")
    if isinstance(value, str):
        parts.texts.append(value)
    for item in objects_of(value):
        parts.add(item)
    if isinstance(instructions := params.get("instructions"), str):
        parts.system.append(instructions)
    if fields:
        parts.texts = [text for field in fields for text in _texts(_value(row, field))]
    elif value is None:
        parts.texts = list(row_texts({name: value for name, value in row.items() if name != keys.PARAMS}))
    system = "\n".join(parts.system)
    frame = _digest([named_agent(row), system, params.get("tools"), parts.others])
    return TaskText("\n".join(parts.texts) if parts.texts else None, system, frame)


def rest_digest(row: Row, fields: Sequence[str] = ()) -> bytes:
    """A digest of what a row has beside its ids and the text that is compared."""
    rest = _without_ids({name: value for name, value in row.items() if name != keys.AGENT_REF})
    params: Any = rest.get(keys.PARAMS)
    has_input = isinstance(params, dict) and "input" in params
    if not (fields or has_input):
        rest = _without_texts(rest)
    for field in (*fields, f"{keys.PARAMS}.input", f"{keys.PARAMS}.tools"):
        _drop(rest, field)
    return _digest(rest)


def row_name(row: Row, number: int) -> str | int:
    """The id of a row, or else the number of its line."""
    for name in _NAMES:
        if isinstance(value := row.get(name), str | int):
            return value
    return number


def row_texts(row: Any) -> Iterator[str]:
    """All texts in a row but its ids, in order."""
    yield from _texts(_without_ids(row))


_NAMES: Final = ("id", "task_id", "uuid", keys.TASK_INDEX)
_IDS: Final = frozenset(
    {
        "example_id", "guid", "id", "idx", "index", "instance_id", "problem_id", "prompt_id", "question_id",
        "row_id", "row_index", "sample_id", "sample_index", "source_index", "task_id", "task_index", "uuid",
        *keys.IDENTITY,
    }
)  # fmt: skip
"""Columns that name a row and say nothing about its task."""


class _Parts:
    """The parts of an input."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.system: list[str] = []
        self.others: list[Any] = []
        """Images, files and calls."""

    def add(self, item: Row) -> None:
        target = self.system if item.get("role") in ("system", "developer") else self.texts
        content = item.get("content", item.get("output"))
        if isinstance(content, str):
            target.append(content)
        for part in objects_of(content):
            if isinstance(text := part.get("text"), str):
                target.append(text)
            else:
                self.others.append(part)
        if item.get("type") == "function_call":
            self.others.append([item.get("name"), item.get("arguments")])


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for one in cast("dict[str, Any]", value).values():
                yield from _texts(one)
        case list():
            for one in cast("list[Any]", value):
                yield from _texts(one)
        case _:
            pass


def _value(row: Row, field: str) -> Any:
    value: Any = row
    for name in field.split("."):
        value = cast("Row", value).get(name) if isinstance(value, dict) else None
    if value is None:
        raise DataError(f"there is no field {field!r}")
    return value


def _drop(row: Row, field: str) -> None:
    *path, last = field.split(".")
    value: Any = row
    for name in path:
        value = cast("Row", value).get(name) if isinstance(value, dict) else None
    if isinstance(value, dict):
        cast("Row", value).pop(last, None)


def _without_ids(value: Any) -> Any:
    """A copy without ids; lists are the same."""
    if not isinstance(value, dict):
        return value
    pairs = cast("Row", value).items()
    return {name: _without_ids(one) for name, one in pairs if name.lower() not in _IDS}


def _without_texts(value: Any) -> Any:
    match value:
        case str():
            return None
        case dict():
            pairs = cast("Row", value).items()
            return {name: _without_texts(one) for name, one in pairs}
        case list():
            return [_without_texts(one) for one in cast("list[Any]", value)]
        case _:
            return value


def _digest(value: Any) -> bytes:
    return blake2b(_sorted(value), digest_size=16).digest()


_sorted: Final = msgspec.json.Encoder(order="sorted").encode
