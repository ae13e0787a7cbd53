"""What every command writes passes here, so that no character of unknown origin steers the terminal."""

from __future__ import annotations

import io
import sys
from collections.abc import Generator
from contextlib import contextmanager
from math import isfinite
from typing import Any, Final, TextIO, cast

import msgspec

from nemo_gym.assembly.messages import Messages
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.masking import without_secrets, without_userinfo
from nemo_gym.wire.safe_text import escaped_json, printable


def safe_text(text: str) -> str:
    """Text without secrets, and without characters that steer a terminal."""
    return printable(without_secrets(text))


def echo(text: str = "", *, end: str = "\n") -> None:
    """Write a line to standard output."""
    sys.stdout.write(f"{safe_text(text)}{end}")
    sys.stdout.flush()


def print_error(message: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(f"gym: {safe_text(without_userinfo(message))}\n")


def print_note(message: str) -> None:
    """Write a line that is no error to standard error."""
    print_error(f"note: {message}")


def _print_progress(message: str) -> None:
    sys.stderr.write(f"{message}\n")


TERMINAL: Final = Messages(warn=print_error, note=print_note, progress=_print_progress)
"""The messages of a run, as lines on standard error."""


def print_json(value: Any) -> None:
    """Write indented JSON, and nothing else, to standard output."""
    text = escaped_json(without_secrets(msgspec.json.format(encode(value), indent=2).decode()))
    sys.stdout.flush()
    sys.stdout.buffer.write(f"{text}\n".encode())
    sys.stdout.flush()


def duration(seconds: float) -> str:
    """`42 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def percent(share: float) -> str:
    """A share in percent. Only 100 is shown as 100.0, and only 0 as 0.0."""
    text = f"{share:.1f}"
    if text == "100.0" and share < 100.0:
        return "> 99.9 %"
    if text == "0.0" and share > 0.0:
        return "< 0.1 %"
    return f"{text} %"


def score(value: float) -> str:
    """A reward. Only a whole number is shown as one, so 0.9999 is not shown as 1.000."""
    for digits in (3, 6, 9, 12):
        text = f"{value + 0.0:.{digits}f}"
        if not float(text).is_integer() or float(text) == value:
            return text
    return repr(value)


def number(value: float) -> str:
    """A figure short enough for a table cell."""
    if not isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.3f}" if abs(value) < 100 else f"{value:,.1f}"


@contextmanager
def safe_output() -> Generator[None, None, None]:
    """While the block runs, standard output and standard error write safe text only."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast("TextIO", _SafeStream(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class _SafeStream(io.TextIOBase):
    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream
        """Where a rich console writes: its text is safe already, and its own sequences must pass."""

    def write(self, text: str, /) -> int:
        self.rich_proxied_file.write(safe_text(text))
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
