"""Prompt templates, from which the input of a row is built."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from string import Formatter
from typing import Any, Final, cast

from nemo_gym.wire import keys
from nemo_gym.wire.errors import DataError, UsageError, did_you_mean
from nemo_gym.wire.task import Row


@dataclass(frozen=True)
class Prompt:
    """Templates in the form of `str.format_map`: `{column}` is a top-level column of the row, `{column[0]}`
    and `{column[key]}` are values in it, `{{` and `}}` are braces. Attributes (`{a.b}`) and widths from the
    row (`{a:{b}}`) are refused.

    Raises:
        UsageError: a template can't be read, or refers to anything else.
    """

    name: str
    """The name of the prompt, for the column `prompt_config_used` of its rows."""
    user: str
    system: str | None = None

    def __post_init__(self) -> None:
        _ = self.columns

    @cached_property
    def columns(self) -> set[str]:
        """The columns that it needs."""
        try:
            return _columns(self.user) | _columns(self.system or "")
        except ValueError as error:
            raise UsageError(f"prompt {self.name}: {error}; write {{{{ and }}}} for braces") from None

    @property
    def digest(self) -> str:
        """The same for the same texts."""
        return hashlib.sha256(repr((self.system, self.user)).encode()).hexdigest()[:16]

    def apply(self, row: Row) -> Row:
        """A copy of the row whose input is the filled prompt; its other request parameters stay.

        Raises:
            DataError: the row has an input of its own, or its columns don't fit, as for `messages`.
        """
        value: Any = row.get(keys.PARAMS) or {}
        if not isinstance(value, dict):
            return row
        params = cast("Row", value)
        if params.get("input") is not None:
            raise DataError("the row has an input of its own")
        params = {**params, "input": self.messages(row)}
        return {**row, keys.PARAMS: params, keys.PROMPT_CONFIG_USED: self.name}

    def messages(self, row: Row) -> list[dict[str, str]]:
        """The filled prompt.

        Raises:
            DataError: a column that it needs is missing or of a type that the template can't write.
        """
        if missing := sorted(self.columns - row.keys()):
            raise DataError(f"no column {', '.join(map(repr, missing))}.{did_you_mean(missing[0], row)}")
        templates = {"system": self.system, "user": self.user}
        try:
            return [
                {"role": role, "content": text.format_map(row)}
                for role, text in templates.items()
                if text is not None
            ]
        except LookupError as error:
            raise DataError(f"a column lacks what the prompt takes from it: {error}") from None
        except (ValueError, TypeError) as error:
            raise DataError(f"a column can't be written as the prompt asks: {error}") from None


def _columns(template: str) -> set[str]:
    columns: set[str] = set()
    for _, name, form, conversion in Formatter().parse(template):
        if name is None:
            continue
        column = _FIELD.fullmatch(name)
        if column is None or column[1].isdigit():
            raise ValueError(f"{{{name}}} is neither a column nor, as {{column[key]}}, something in one")
        if (form and "{" in form) or conversion not in (None, "r", "s", "a"):
            raise ValueError(f"{{{name}}} is not written in a way that a column can be")
        columns.add(column[1])
    return columns


_FIELD: Final = re.compile(r"([^.\[\]{}]+)(\[[^\[\]{}]+\])*")
