"""Where the messages of a run go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

Write: TypeAlias = Callable[[str], None]
"""Takes one line."""


def _ignore(line: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Messages:
    """A writer for each kind of message; by default they are dropped."""

    warn: Write = _ignore
    """Takes problems that don't end the run."""
    note: Write = _ignore
    """Takes facts that the user should know and that are no problem."""
    progress: Write = _ignore
    """Takes steps that are finished."""


SILENT = Messages()
