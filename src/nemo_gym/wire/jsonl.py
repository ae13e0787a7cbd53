"""JSON bytes in and out, JSON files, and JSONL files with errors that name the line."""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, cast

import msgspec

from nemo_gym.wire.errors import DataError, UsageError

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()

decode = _decoder.decode
"""Strict JSON: no NaN, no infinities, no lone surrogates. Raises DecodeError or UnicodeDecodeError."""


def encode(value: Any) -> bytes:
    """Compact JSON. Lone surrogates, which UTF-8 can't hold, become U+FFFD rather than an error."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        return _encoder.encode(_without_surrogates(value))


def open_regular(path: Path) -> BufferedReader:
    """A regular file to read: reading a pipe or a device may never end.

    Raises:
        UsageError: it is not a regular file, or can't be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror})") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UsageError(f"{path}: can't be read (it is not a regular file)")
    return os.fdopen(descriptor, "rb")


def read_json(path: Path) -> Any:
    """The value in a JSON file.

    Raises:
        UsageError: it can't be read, or is not JSON.
    """
    try:
        return decode(without_mark(path.read_bytes()))
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror})") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: not valid JSON: {error}") from None


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every (line number from 1, object) of a JSONL file, lazily; blank lines are skipped.

    Raises:
        UsageError: there is no such file.
        DataError: a line is not a JSON object.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        why = "it is not a regular file" if isinstance(error, IsADirectoryError) else error.strerror
        raise UsageError(f"{path}: can't be read ({why})") from None
    with file:
        for number, line in enumerate(file, start=1):
            line = without_mark(line) if number == 1 else line
            if not line or line.isspace():
                continue
            yield number, decode_row(line, path, number)


def without_mark(start: bytes) -> bytes:
    """The start of a file without the byte order mark that some editors write there."""
    return start.removeprefix(codecs.BOM_UTF8)


def decode_row(line: bytes, path: Path | str, number: int) -> dict[str, Any]:
    """One JSONL line as an object.

    Raises:
        DataError: with the file and the line.
    """
    try:
        row = decode(without_mark(line) if number == 1 else line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{path}:{number}: not valid JSON: {error}{_hint(line)}") from None
    if not isinstance(row, dict):
        raise DataError(f"{path}:{number}: expected a JSON object, got {type(row).__name__}")
    return cast("dict[str, Any]", row)


def _hint(line: bytes) -> str:
    """What the writer of a line that is no JSON probably meant."""
    if line.lstrip().startswith(b"[") or line.rstrip().endswith((b"{", b"},")):
        return " (JSONL has one whole object on each line, without brackets and commas around them)"
    if b"NaN" in line or b"Infinity" in line:
        return " (NaN and Infinity are no JSON: leave the field out, or write null)"
    return ""


def _without_surrogates(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        case dict():
            pairs = cast("dict[Any, Any]", value).items()
            return {_without_surrogates(key): _without_surrogates(item) for key, item in pairs}
        case list() | tuple():
            return [_without_surrogates(item) for item in cast("list[Any]", value)]
        case _:
            return value
