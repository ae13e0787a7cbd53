"""Checks of the arguments of tools; each returns the value in the form in which it is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any, Final

from nemo_gym.environments.tool import ToolError
from nemo_gym.library.agent.workplace_assistant.data import Row, base

RESULT_LIMIT: Final = 5
"""The most records that a search shows."""
MAX_QUERY_CHARS: Final = 200
MAX_TEXT_CHARS: Final = 20_000

Check = Callable[[str, str], str]
"""Gets the value and the name of its field; raises ToolError when the value is wrong."""


def text(value: str, field: str) -> str:
    """A text that is not blank and not too long."""
    if not value.strip():
        raise ToolError(f"{field} must not be empty.")
    return note(value, field)


def note(value: str, field: str) -> str:
    """A text that is not too long; it may be empty."""
    if len(value) > MAX_TEXT_CHARS:
        raise ToolError(f"{field} is too long: {len(value)} characters, at most {MAX_TEXT_CHARS} are stored.")
    return value


def address(value: str, field: str) -> str:
    """An address of the form name@host."""
    name, at, host = value.strip().partition("@")
    has_marks = any(mark in name + host for mark in " @,;<>\n")
    if not (name and at and host) or has_marks or len(value) > MAX_QUERY_CHARS:
        raise ToolError(f"{field}: {_short(value)} is not an email address. Write one address, name@host.")
    return value.strip()


def colleague(value: str, field: str) -> str:
    """An address of the company directory."""
    value = value.strip().lower()
    if value not in base().directory:
        raise ToolError(f"{field}: {_short(value)} is nobody's address in the company directory.")
    return value


def day(value: str, field: str) -> str:
    """A date, stored as YYYY-MM-DD; a time of day after it is dropped."""
    return moment(value, field)[:10]


def moment(value: str, field: str) -> str:
    """A time, stored as YYYY-MM-DD HH:MM:SS; a date alone means midnight."""
    try:
        return datetime.fromisoformat(value.strip()).replace(tzinfo=None).isoformat(" ", "seconds")
    except ValueError:
        hint = "Write YYYY-MM-DD HH:MM:SS or YYYY-MM-DD."
        raise ToolError(f"{field}: {_short(value)} is not a date or time. {hint}") from None


def minutes(value: str, field: str) -> str:
    """A whole number of minutes within a day."""
    digits = value.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 4 and 0 < int(digits) <= 1440):
        raise ToolError(
            f"{field}: {_short(value)} is not a number of minutes. Write 1 to 1440, without a unit."
        )
    return str(int(digits))


def one_of(options: Iterable[str]) -> Check:
    """A check for one of a few fixed spellings."""
    spellings = tuple(options)

    def check(value: str, field: str) -> str:
        if value not in spellings:
            raise ToolError(f"{field}: {_short(value)} is unknown. Write one of: {', '.join(spellings)}.")
        return value

    return check


def optional(check: Check) -> Check:
    """A check that also accepts an empty value."""
    return lambda value, field: check(value, field) if value else ""


def check_all(checks: Mapping[str, Check], values: Mapping[str, str]) -> dict[str, str]:
    """The values of a new record after the check of each field."""
    return {field: check(values[field], field) for field, check in checks.items()}


def known_field(field: str, fields: Iterable[str]) -> str:
    """The name of a field, if the table has it."""
    return one_of(fields)(field, "field")


def between(low: str, high: str, names: tuple[str, str]) -> Callable[[str], bool]:
    """A function that tells whether a stored date or time is in a range. An empty end has no limit; a date at
    the end includes the whole day.

    `names` are the names of the two arguments, for the error message.
    """
    first = moment(low, names[0]) if low else ""
    last = moment(high, names[1]) if high else "9999"
    if high and _is_date(high):
        last = f"{last[:10]} 23:59:59"
    if last < first:
        raise ToolError(f"{names[0]} {_short(low)} is after {names[1]} {_short(high)}.")
    return lambda value: first[: len(value)] <= value <= last


def matching(query: str, *, field: str = "query") -> Callable[[Iterable[str]], bool]:
    """A function that tells whether every word of the query occurs in one of the texts, in any case."""
    if len(query) > MAX_QUERY_CHARS:
        raise ToolError(f"{field} is too long: {len(query)} characters, at most {MAX_QUERY_CHARS}.")
    words = query.lower().split()

    def match(texts: Iterable[str]) -> bool:
        if not words:
            return True
        text = "\n".join(texts).lower()
        return all(word in text for word in words)

    return match


def conditions_of(filters: Mapping[str, str]) -> dict[str, Callable[[Iterable[str]], bool]]:
    """The match of each field for which a text is given."""
    return {field: matching(value, field=field) for field, value in filters.items() if value.strip()}


def first_results(rows: list[Row]) -> dict[str, Any]:
    """The result of a search: the number of matches, and the first few of them."""
    return {"total": len(rows), "results": [dict(row) for row in rows[:RESULT_LIMIT]]}


def _short(value: str) -> str:
    return repr(value if len(value) <= 60 else value[:60] + "...")


def _is_date(value: str) -> bool:
    try:
        date.fromisoformat(value.strip())
    except ValueError:
        return False
    return True
