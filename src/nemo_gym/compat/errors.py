"""Errors that are also of a built-in type, by which existing code catches them."""

from __future__ import annotations

from pydantic import ValidationError

from nemo_gym.wire.errors import UsageError


class InvalidInput(UsageError, ValueError):
    """What was given doesn't fit."""


class MissingFile(UsageError, FileNotFoundError):
    """There is no such file."""


class MissingColumn(UsageError, KeyError):
    """A row lacks a column."""

    __str__ = UsageError.__str__


def problems(error: ValidationError) -> str:
    """What Pydantic found wrong, on one line: each place and what should be there."""
    lines = (f"{'.'.join(map(str, place['loc']))}: {place['msg']}" for place in error.errors())
    return "; ".join(lines)
