"""Files of lines to which several processes append."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from nemo_gym.wire.errors import UsageError


def made(folder: Path, what: str) -> Path:
    """A folder of one's own, absolute, made if need be.

    Args:
        what: what it is for, for the error.

    Raises:
        UsageError: it can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise UsageError(f"{what} folder {folder} can't be made: {error.strerror}") from None
    return folder.absolute()


@contextmanager
def locked(path: Path) -> Generator[FileIO, None, None]:
    """A file, made if need be, that no other process adds to in the meantime.

    Raises:
        OSError: it can't be opened.
    """
    with path.open("a+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def append(file: FileIO, line: bytes) -> None:
    """One whole line at the end of a locked file, on disk. What is left of a torn line ends before it."""
    end = file.seek(0, os.SEEK_END)
    torn = end > 0 and os.pread(file.fileno(), 1, end - 1) != b"\n"
    rest = memoryview((b"\n" if torn else b"") + line + b"\n")
    while rest:
        rest = rest[file.write(rest) :]
    os.fsync(file.fileno())


def append_line(path: Path, line: bytes) -> None:
    """One whole line at the end of a file, on disk.

    Raises:
        OSError: it can't be written.
    """
    with locked(path) as file:
        append(file, line)
