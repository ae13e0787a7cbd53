"""Mappings: which columns of a data set become which fields of a task."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from nemo_gym.config.yaml_files import read_data
from nemo_gym.environments.answer_verdict import plain_message
from nemo_gym.siblings.data_designer.columns import (
    Form,
    Unmappable,
    check_path,
    filled,
    formed,
    paths_in,
    value_at,
)
from nemo_gym.wire import keys
from nemo_gym.wire.chat import params_from_chat
from nemo_gym.wire.choices import explain_misfit, nearest_field, unknown_field
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.json_values import objects
from nemo_gym.wire.task import Row

ORIGIN = "data_designer"
"""The field of a task with the facts about its record: the data set, its place there, and kept columns."""
MOST_TEXT = 200
"""The longest text of a column that is kept without being named."""


class Value(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Where a field's value comes from: a column, a text with columns in it, or the mapping itself."""

    column: str | None = None
    """A column, or a path in one: `answer.number`."""
    form: Form = msgspec.field(name="as", default="as_is")
    template: str | None = None
    """A text with `{{ column }}` in it."""
    value: Any = msgspec.UNSET

    def __post_init__(self) -> None:
        given = (self.column is not None, self.template is not None, self.value is not msgspec.UNSET)
        if sum(given) != 1:
            raise ValueError("give one of `column`, `template` and `value`")

    def of(self, record: Row) -> Any:
        if self.template is not None:
            return filled(self.template, record)
        if self.column is None:
            return deepcopy(self.value)
        return formed(value_at(record, self.column), self.form, self.column)

    @property
    def paths(self) -> list[str]:
        if self.template is not None:
            return list(paths_in(self.template))
        return [] if self.column is None else [self.column]


class Message(msgspec.Struct, forbid_unknown_fields=True):
    """A message of the input; the content is a text with `{{ column }}` in it."""

    role: str
    content: str


class Mapping(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How a record becomes a task."""

    description: str = ""
    """What the tasks are, for lists."""
    environment: str = ""
    """The environment that the tasks are for. It checks each of them."""
    settings: dict[str, Any] = {}
    """The settings of the environment."""
    base: str = ""
    """A column with a whole task as JSON, whose fields the other parts replace."""
    input: str | list[Message] = ""
    """A column with a text or with chat messages, or messages with columns in them."""
    tools: str | list[Any] = ""
    """A column with the tools, or the tools themselves."""
    fields: dict[str, str | Value] = {}
    """The task's other fields by name, each with its column. A name may have dots, for a field in another."""
    metadata: list[str] | None = None
    """The columns that are kept beside the task, in `data_designer.columns`. By default all that nothing else
    uses and that are numbers or short texts."""
    require: dict[str, Any] = {}
    """Values that a record must have, by path; others are left out, and counted."""

    @property
    def values(self) -> dict[str, Value]:
        """The fields' values by name."""
        return {
            name: Value(column=value) if isinstance(value, str) else value
            for name, value in self.fields.items()
        }

    @property
    def messages(self) -> list[Message]:
        return self.input if isinstance(self.input, list) else []

    def check_columns(self, columns: Iterable[str]) -> None:
        """Check that every column of the mapping exists.

        Raises:
            UsageError: one does not; with the nearest name.
        """
        names = list(columns)
        for where, path in self._paths():
            check_path(path, names, f"mapping: {where}")

    def used_columns(self) -> set[str]:
        """The columns that become a part of the task itself."""
        return {path.split(".")[0] for where, path in self._paths() if where not in ("metadata", "require")}

    def refusal(self, record: Row) -> str:
        """Why `require` leaves a record out; empty where it does not."""
        for path, wanted in self.require.items():
            try:
                value = value_at(record, path)
            except Unmappable as error:
                return str(error)
            if value != wanted:
                return f"{path} is {str(value)[:80]}, not {wanted}"
        return ""

    def task(self, record: Row) -> Row:
        """The task of a record.

        Raises:
            Unmappable: a value is missing or has another form.
        """
        row: Row = {}
        if self.base:
            base = formed(value_at(record, self.base), "json", self.base)
            if not isinstance(base, dict):
                raise Unmappable(f"{self.base} is not a task as JSON")
            row = deepcopy(cast("Row", base))
        params: dict[str, Any] = dict(row.get(keys.PARAMS) or {})
        if self.input:
            params["input"] = self._input(record)
        if self.tools:
            params["tools"] = self._tools(record)
        if params:
            row[keys.PARAMS] = params
        for name, value in self.values.items():
            _put(row, name, value.of(record))
        return row

    def kept(self, record: Row) -> dict[str, Any]:
        """The columns that are kept beside the task."""
        if self.metadata is not None:
            return {path: _value_or_none(record, path) for path in self.metadata}
        used = self.used_columns()
        return {name: value for name, value in record.items() if name not in used and is_short(value)}

    def _input(self, record: Row) -> Any:
        if isinstance(self.input, list):
            return [{"role": one.role, "content": filled(one.content, record)} for one in self.input]
        value = value_at(record, self.input)
        if isinstance(value, str) and value.lstrip().startswith("[{"):
            value = formed(value, "json", self.input)
        if not isinstance(value, list):
            return [{"role": "user", "content": formed(value, "text", self.input)}]
        try:
            rows = objects(cast("list[Any]", value), self.input)
            messages = [plain_message(message) for message in rows]
            return params_from_chat({"messages": messages})["input"]  # type: ignore[typeddict-item]
        except UsageError as error:
            raise Unmappable(f"{self.input}: {error}") from None

    def _tools(self, record: Row) -> Any:
        if isinstance(self.tools, list):
            return deepcopy(self.tools)
        tools = formed(value_at(record, self.tools), "json", self.tools)
        return [_flat_tool(one) for one in cast("list[Any]", tools)] if isinstance(tools, list) else tools

    def _paths(self) -> Iterator[tuple[str, str]]:
        if self.base:
            yield "base", self.base
        if isinstance(self.input, str) and self.input:
            yield "input", self.input
        for message in self.messages:
            yield from (("input", path) for path in paths_in(message.content))
        if isinstance(self.tools, str) and self.tools:
            yield "tools", self.tools
        for name, value in self.values.items():
            yield from ((f"fields.{name}", path) for path in value.paths)
        yield from (("metadata", path) for path in self.metadata or ())
        yield from (("require", path) for path in self.require)


def load_mapping(path: Path) -> Mapping:
    """The mapping in a YAML file.

    Raises:
        UsageError: it can't be read, or is no mapping.
    """
    return read_mapping(read_data(path), str(path))


def read_mapping(document: dict[str, Any], where: str) -> Mapping:
    """The mapping in a document; `where` begins the message of an error.

    Raises:
        UsageError: it is no mapping.
    """
    fields: Any = document.get("fields")
    if isinstance(fields, dict):
        for name, value in cast("dict[str, Any]", fields).items():
            _read(value, str if isinstance(value, str) else Value, f"{where}: fields.{name}")
    mapping = _read(document, Mapping, where)
    if not (mapping.base or mapping.input or mapping.fields):
        raise UsageError(
            f"{where}: a mapping needs `input` (a column or messages) or `base` (a column of tasks)"
        )
    return mapping


T = TypeVar("T")


def _read(document: Any, kind: type[T], where: str) -> T:
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        struct = kind if issubclass(kind, msgspec.Struct) else Mapping
        hint = nearest_field(error, struct) if unknown_field(error) else ""
        raise UsageError(f"{where}: {explain_misfit(error, struct).replace('$.', '')}{hint}") from None


def is_short(value: Any) -> bool:
    """Whether a value is a number or a short text."""
    return isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= MOST_TEXT)


def _value_or_none(record: Row, path: str) -> Any:
    try:
        return value_at(record, path)
    except Unmappable:
        return None


def _put(row: Row, name: str, value: Any) -> None:
    *parents, last = name.split(".")
    place: dict[str, Any] = row
    for parent in parents:
        inner: Any = place.get(parent)
        place[parent] = place = dict(cast("dict[str, Any]", inner)) if isinstance(inner, dict) else {}
    place[last] = value


def _flat_tool(tool: Any) -> Any:
    """A tool of the Responses API for one of Chat Completions."""
    match tool:
        case {"type": "function", "function": {"name": str(), **fields}}:
            return {"type": "function", "name": tool["function"]["name"], **fields}
        case _:
            return tool
