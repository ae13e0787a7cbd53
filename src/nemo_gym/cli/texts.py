"""Small pieces of output shared by the commands."""

from __future__ import annotations

import sys
from typing import Any

import msgspec

from nemo_gym.wire.jsonl import encode


def print_error(message: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"gym: {message}\n")


def print_json(value: Any) -> None:
    """Indented JSON, and nothing else, on standard output."""
    sys.stdout.buffer.write(msgspec.json.format(encode(value), indent=2) + b"\n")
    sys.stdout.flush()


def duration(seconds: float) -> str:
    """`42 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def number(value: float) -> str:
    """A figure short enough for a table cell."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.3f}" if abs(value) < 100 else f"{value:,.1f}"
