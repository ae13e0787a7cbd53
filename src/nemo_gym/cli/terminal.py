"""The edge of the output: whatever a command writes passes here, so that nothing of unknown origin reaches a
terminal as it is."""

from __future__ import annotations

import io
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from nemo_gym.cli.texts import shown


@contextmanager
def safe_output() -> Generator[None, None, None]:
    """Standard output and standard error show safe text only, while the block runs."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast("TextIO", _SafeStream(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class _SafeStream(io.TextIOBase):
    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream
        """Where a rich console writes, which has made its text safe and whose own sequences must pass."""

    def write(self, text: str, /) -> int:
        self.rich_proxied_file.write(shown(text))
        return len(text)

    def flush(self) -> None:
        self.rich_proxied_file.flush()

    def isatty(self) -> bool:
        return self.rich_proxied_file.isatty()

    def fileno(self) -> int:
        return self.rich_proxied_file.fileno()

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.rich_proxied_file.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self.rich_proxied_file.errors

    @property
    def buffer(self) -> Any:
        return self.rich_proxied_file.buffer
