"""Files that take their place only once they are whole."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nemo_gym.runs import paths
from nemo_gym.wire.errors import UsageError


@contextmanager
def whole_file(path: Path) -> Generator[BinaryIO]:
    """As of `runs.paths`, for a path that the user has named.

    Raises:
        UsageError: the path can't be written.
    """
    try:
        with paths.whole_file(path) as file:
            yield file
    except paths.WriteFailed as error:
        raise UsageError(str(error)) from None
