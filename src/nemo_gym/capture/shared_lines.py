"""Files of lines to which several processes append."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from nemo_gym.wire.errors import UsageError


def create_folder(folder: Path, what: str) -> Path:
    """The absolute path of a folder that is created if it is missing, for this user only.

    Args:
        what: its purpose, for the error.

    Raises:
        UsageError: it can't be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise UsageError(f"{what} folder {folder} can't be created: {error.strerror}") from None
    return folder.absolute()


@contextmanager
def lock_file(path: Path) -> Generator[FileIO, None, None]:
    """A file that no other process appends to meanwhile; it is created if it is missing.

    Raises:
        OSError: it can't be opened.
    """
    with path.open("a+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def append(file: FileIO, line: bytes) -> None:
    """Write one line at the end of a locked file and sync it to disk. A torn line before it gets an end."""
    end = file.seek(0, os.SEEK_END)
    is_torn = end > 0 and os.pread(file.fileno(), 1, end - 1) != b"\n"
    rest = memoryview((b"\n" if is_torn else b"") + line + b"\n")
    while rest:
        rest = rest[file.write(rest) :]
    os.fsync(file.fileno())


def append_line(path: Path, line: bytes) -> None:
    """Write one line at the end of a file and sync it to disk.

    Raises:
        OSError: it can't be written.
    """
    with lock_file(path) as file:
        append(file, line)
