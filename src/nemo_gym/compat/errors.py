"""Errors that are also of a built-in type, which existing code catches."""

from __future__ import annotations

from pydantic import ValidationError

from nemo_gym.wire.errors import UsageError


class InvalidInput(UsageError, ValueError):
    """A value from the user is wrong."""


class MissingFile(UsageError, FileNotFoundError):
    """A file does not exist."""


class MissingColumn(UsageError, KeyError):
    """A row lacks a column."""

    __str__ = UsageError.__str__


def problems(error: ValidationError) -> str:
    """The problems of a validation error on one line, each with its place."""
    lines = (f"{'.'.join(map(str, place['loc']))}: {place['msg']}" for place in error.errors())
    return "; ".join(lines)
