"""Deletes folders of untrusted code, whatever they contain."""

from __future__ import annotations

import logging
import os
import uuid
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Final

log: Final = logging.getLogger(__name__)

_MOST_S: Final = 300.0
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(folder: Path) -> bool:
    """Delete a folder, however deep it is and whatever the permissions in it. It follows no link and raises
    nothing: a warning names what can't be deleted.

    Args:
        folder: the folder; a missing one is no error.

    Returns:
        Whether it is gone.
    """
    try:
        top = _open(os.fspath(folder), None)
        try:
            _empty(top)
        finally:
            os.close(top)
        os.rmdir(folder)
    except FileNotFoundError:
        return True
    except OSError as error:
        log.warning("the folder %s can't be deleted: %s", folder, error)
        return False
    return True


def _empty(top: int) -> None:
    """Delete what is in a folder. The folders inside its folders are moved up to the top, so that depth costs
    neither memory nor descriptors."""
    end = monotonic() + _MOST_S
    names = os.listdir(top)
    while names and monotonic() < end:
        for name in names:
            with suppress(OSError):
                _discard(top, name)
        rest = os.listdir(top)
        if rest == names:
            return
        names = rest


def _discard(top: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=top)
    except (IsADirectoryError, PermissionError):  # POSIX has the second one for folders
        folder = _open(name, top)
        try:
            with os.scandir(folder) as listing:
                entries = list(listing)
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        _lift(folder, entry.name, top)
                    else:
                        os.unlink(entry.name, dir_fd=folder)
        finally:
            os.close(folder)
        os.rmdir(name, dir_fd=top)


def _lift(folder: int, name: str, top: int) -> None:
    """Move a folder up, which needs its owner's right to write. Trying to delete it first would be slow: the
    kernel would walk all that is below it."""
    os.close(_open(name, folder))
    os.rename(name, f".removal-{uuid.uuid4().hex}", src_dir_fd=folder, dst_dir_fd=top)


def _open(name: str, above: int | None) -> int:
    """The descriptor of a folder, which becomes writable for its owner."""
    try:
        descriptor = os.open(name, _FOLDER, dir_fd=above)
    except PermissionError:
        place = os.open(name, _FOLDER | getattr(os, "O_PATH", 0), dir_fd=above)
        try:
            os.chmod(f"/proc/self/fd/{place}", 0o700)
        finally:
            os.close(place)
        descriptor = os.open(name, _FOLDER, dir_fd=above)
    with suppress(OSError):
        os.fchmod(descriptor, 0o700)
    return descriptor
