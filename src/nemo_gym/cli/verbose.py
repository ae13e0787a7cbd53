"""`-v`, `--verbose`: allowed anywhere on the command line."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

_FLAGS: Final = ("-v", "--verbose")


def log_everything() -> None:
    """Send this process's log to standard error, all of it. Servers that it starts do the same."""
    logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(levelname)s %(message)s")


def is_verbose() -> bool:
    """Whether `log_everything` was called."""
    return logging.getLogger().isEnabledFor(logging.DEBUG)


def without_verbose(words: Sequence[str]) -> tuple[list[str], bool]:
    """As `without`, for these flags."""
    return without(_FLAGS, words)


def without(flags: Sequence[str], words: Sequence[str]) -> tuple[list[str], bool]:
    """The words but these flags, and whether one was there; what follows `--` is left alone."""
    end = words.index("--") if "--" in words else len(words)
    kept = [word for word in words[:end] if word not in flags]
    return [*kept, *words[end:]], len(kept) < end
