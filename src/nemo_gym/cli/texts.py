"""Small pieces of output shared by the commands. None of it holds a character that steers a terminal."""

from __future__ import annotations

import sys
from math import isfinite
from typing import Any, Final

import msgspec

from nemo_gym.assembly.messages import Messages
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.masking import without_secrets, without_userinfo
from nemo_gym.wire.safe_text import escaped_json, printable


def shown(text: str) -> str:
    """Text as it may be shown: without secrets, and without characters that steer a terminal."""
    return printable(without_secrets(text))


def echo(text: str = "", *, end: str = "\n") -> None:
    """A line on standard output."""
    sys.stdout.write(f"{shown(text)}{end}")
    sys.stdout.flush()


def print_error(message: str) -> None:
    """A line on standard error."""
    sys.stderr.write(f"gym: {shown(without_userinfo(message))}\n")


def print_note(message: str) -> None:
    """A line on standard error about something that is no error."""
    sys.stderr.write(f"gym: note: {shown(without_userinfo(message))}\n")


def _print_progress(message: str) -> None:
    sys.stderr.write(f"{message}\n")


TERMINAL: Final = Messages(warn=print_error, note=print_note, progress=_print_progress)
"""For what happens before and during a run."""


def print_json(value: Any) -> None:
    """Indented JSON, and nothing else, on standard output."""
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
    """A share in percent; rounding makes neither all nor nothing of one that is not."""
    text = f"{share:.1f}"
    if text == "100.0" and share < 100.0:
        return "> 99.9 %"
    if text == "0.0" and share > 0.0:
        return "< 0.1 %"
    return f"{text} %"


def score(value: float) -> str:
    """A reward; rounding makes no whole number of one that is not."""
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
