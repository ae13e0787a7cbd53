"""Files that take their place only once they are whole."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nemo_gym.runs import paths
from nemo_gym.wire.errors import UsageError


@contextmanager
def whole_file(path: Path, *, inputs: Iterable[Path] = ()) -> Generator[BinaryIO]:
    """As of `runs.paths`, for a path that the user has named.

    Raises:
        UsageError: the path can't be written, or is one of `inputs`.
    """
    if path.resolve() in (one.resolve() for one in inputs):
        raise UsageError(f"{path} is read by this command: choose another output")
    try:
        with paths.whole_file(path) as file:
            yield file
    except paths.WriteFailed as error:
        raise UsageError(str(error)) from None
