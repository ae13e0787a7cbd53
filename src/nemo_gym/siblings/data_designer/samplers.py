"""Sampler columns of a configuration: their values, shares and conditions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeAlias, cast

import msgspec

from nemo_gym.siblings.data_designer.config import check_shape
from nemo_gym.siblings.data_designer.evidence import TaskResult, Value, has_value, text_of
from nemo_gym.wire.errors import UsageError

Column: TypeAlias = dict[str, Any]
Condition: TypeAlias = Callable[[TaskResult], bool]
_UNREADABLE: Final = ("uuid", "person", "person_from_faker", "datetime", "timedelta")


class _Values(msgspec.Struct):
    values: Annotated[list[Value], msgspec.Meta(min_length=1)]
    weights: list[float] | None = None

    def __post_init__(self) -> None:
        if self.weights and (
            len(self.weights) != len(self.values) or min(self.weights) < 0 or not sum(self.weights)
        ):
            raise ValueError("weights: expected a share for each value, not all of them 0")


class _Category(msgspec.Struct):
    params: _Values
    conditional_params: dict[str, _Values] | None = None


class _Lists(msgspec.Struct):
    category: str
    values: dict[str, Annotated[list[Value], msgspec.Meta(min_length=1)]]


class _Subcategory(msgspec.Struct):
    params: _Lists


_SHAPES: Final = {"category": _Category, "subcategory": _Subcategory}


def check_samplers(config: dict[str, Any], where: str) -> None:
    """Check the parameters of samplers with a list of values.

    Raises:
        UsageError: they are no parameters of such a sampler; `where` begins the message.
    """
    for column in samplers(config):
        if is_categorical(column):
            name = f"{where}: column {column['name']}"
            check_shape(column, _SHAPES[column["sampler_type"]], name)
            try:
                drawn_values(column)
            except ValueError as error:
                raise UsageError(f"{name}: convert_to: {error}") from None


def samplers(config: dict[str, Any]) -> list[Column]:
    """The sampler columns of a configuration in the full form."""
    columns = cast("list[Column]", config["data_designer"]["columns"])
    return [column for column in columns if column.get("column_type") == "sampler"]


def is_readable(column: Column) -> bool:
    """Whether pass rates by the values say something: not for identifiers, persons and times, and not
    for a subcategory with one value for each of its parent's."""
    if column.get("sampler_type") in _UNREADABLE:
        return False
    values: Any = column["params"]["values"] if is_categorical(column) else []
    if not isinstance(values, dict):
        return True
    return any(len(one) > 1 for one in cast("dict[str, list[Value]]", values).values())


def is_categorical(column: Column) -> bool:
    """Whether the column has a list of values."""
    return column.get("sampler_type") in ("category", "subcategory")


def all_values(column: Column) -> list[Value]:
    """All values that a category or subcategory can have; none for another sampler."""
    if not is_categorical(column):
        return []
    values = column["params"]["values"]
    lists: list[Any] = list(cast("dict[str, Any]", values).values()) if isinstance(values, dict) else [values]
    lists += [
        params["values"] for params in cast("dict[str, Any]", column.get("conditional_params") or {}).values()
    ]
    return [value for values in lists for value in values]


def own_value(config: dict[str, Any], parent: str, text: str) -> Value:
    """The value of a parent category whose text is a key of its subcategory."""
    for column in samplers(config):
        if column["name"] == parent:
            return drawn_values(column).get(text, text)
    return text


def drawn_values(column: Column) -> dict[str, Value]:
    """The values of a sampler as they are in the data set, by their texts.

    Data Designer draws 1 and 0 for true and false, which YAML reads for words like `no`, and texts where the
    values of a sampler are texts and numbers.
    """
    values = all_values(column)
    texts = any(isinstance(value, str) for value in values)
    to = "str" if texts and not column.get("convert_to") else column.get("convert_to")
    return {text_of(value): _converted(value, to) for value in values}


def _converted(value: Value, to: Any) -> Value:
    value = int(value) if isinstance(value, bool) else value
    match to:
        case "str":
            return str(value)
        case "int":
            return int(value)
        case "float":
            return float(value)
        case _:
            return value


def shares(weights: Any, number: int) -> list[float]:
    """Weights as shares that sum to 1; equal ones where there are none."""
    if not weights:
        return [1 / number] * number
    total = sum(weights)
    return [weight / total for weight in weights]


def literal(value: Value) -> str:
    """A value in a Jinja expression."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)


def equality(condition: str) -> tuple[str, str] | None:
    """The column and the text of the value in a condition `column == value`; None for another condition."""
    match = re.fullmatch(
        r"\s*(\w+)\s*==\s*(?:'([^'\\]*)'|(\"(?:[^\"\\]|\\.)*\")|(-?\d+(?:\.\d+)?))\s*", condition
    )
    if match is None:
        return None
    name, single, double, number = match.groups()
    if number is not None:
        return name, text_of(float(number))
    return name, single if single is not None else json.loads(double)


def holds(equality: tuple[str, str] | None) -> Condition:
    """Whether a task meets an equality; True without one, and for a task that lacks the column."""
    if equality is None:
        return always
    column, name = equality
    return lambda task: column not in task.values or has_value(task, column, name)


def always(_: TaskResult) -> bool:
    """The condition that every task meets."""
    return True
