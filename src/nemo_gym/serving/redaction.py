"""Removes the secrets of a run from its logs."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final, TextIO

from nemo_gym.wire.masking import MASK, finder_of, forms_of, without_secrets
from nemo_gym.wire.safe_text import printable

APPEND: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND


class Redactor:
    """Replaces known secrets and those that this process remembers; empty ones are ignored."""

    def __init__(self, secrets: Iterable[str]) -> None:
        texts = {form for secret in filter(None, secrets) for form in forms_of(secret)}
        self._finder = finder_of(texts)

    def text(self, text: str) -> str:
        """The text with `****` for every secret."""
        return without_secrets(self._finder.sub(MASK, text))


class RedactedFile(io.TextIOBase):
    """A log file for this user only, created at the first write."""

    def __init__(self, path: Path, redactor: Redactor) -> None:
        self._path = path
        self._redactor = redactor
        self._file: TextIO | None = None

    def write(self, text: str, /) -> int:
        if self.closed:
            return len(text)  # a thread of a server that was stopped still prints
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.fdopen(os.open(self._path, APPEND, 0o600), "a", encoding="utf-8")
        return self._file.write(self._redactor.text(text))

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        super().close()  # which flushes, so the file is still needed
        file, self._file = self._file, None
        if file is not None:
            file.close()


def log_redacted(redactor: Redactor, *, verbose: bool = False) -> None:
    """Write the log of this process with its tracebacks to standard error: no secrets, safe for a terminal.

    Args:
        verbose: log everything, not only warnings and errors.
    """

    class Formatter(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return printable(redactor.text(super().format(record)))

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if verbose else logging.WARNING)
