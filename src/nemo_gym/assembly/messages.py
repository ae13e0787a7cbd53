"""Where a caller wants to read what happens before and during a run."""

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
    """What is done with lines of each kind; nothing by default."""

    warn: Write = _ignore
    """Something is wrong, and the run goes on."""
    note: Write = _ignore
    """Something that the user should know and that is no error."""
    progress: Write = _ignore
    """Something took place."""


SILENT = Messages()
