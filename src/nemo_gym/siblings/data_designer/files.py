"""Files that take their place only once they are whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from nemo_gym.wire.errors import UsageError


@contextmanager
def whole_file(path: Path) -> Generator[BinaryIO]:
    """A file to write, which replaces `path` at the end of the block, or is deleted after an error.

    Raises:
        UsageError: the path can't be written.
    """
    try:
        descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield cast("BinaryIO", file)
        try:
            os.replace(unfinished, path)
        except OSError as error:
            raise UsageError(f"{path} can't be written: {error.strerror}") from None
    finally:
        if os.path.exists(unfinished):
            os.unlink(unfinished)
