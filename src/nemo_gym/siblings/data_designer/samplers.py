"""Sampler columns of a configuration: their values, shares and conditions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias, cast

from nemo_gym.siblings.data_designer.evidence import TaskResult, Value, has_value, text_of

Column: TypeAlias = dict[str, Any]
Condition: TypeAlias = Callable[[TaskResult], bool]
_UNREADABLE: Final = ("uuid", "person", "person_from_faker", "datetime", "timedelta")


def samplers(config: dict[str, Any]) -> list[Column]:
    """The sampler columns of a configuration in the full form."""
    columns = cast("list[Column]", config["data_designer"]["columns"])
    return [column for column in columns if column.get("column_type") == "sampler"]


def is_readable(column: Column) -> bool:
    """Whether pass rates by the values say something: not for identifiers, persons and times, and not
    for a subcategory with one value for each of its parent's."""
    if column.get("sampler_type") in _UNREADABLE:
        return False
    values = column.get("params", {}).get("values")
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
            for value in all_values(column):
                if text_of(value) == text:
                    return converted(value, column.get("convert_to"))
    return text


def converted(value: Value, to: Any) -> Value:
    """A value as the sampler's `convert_to` makes it."""
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
