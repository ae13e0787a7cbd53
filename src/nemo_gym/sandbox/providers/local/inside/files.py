"""The files of a sandbox: opened for the provider, measured and deleted."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import stat

from nemo_gym.sandbox.providers.local.inside.processes import descendants

MOST_FILES = 20_000
_LONGEST_PATH = 4096
_SHARED_OBJECTS = ("shm", "sem", "msg")


def open_file(path: str, *, write: bool) -> int:
    """A descriptor of a regular file. To write, the file and missing folders are created.

    Raises:
        OSError: it can't be opened, or is no regular file.
    """
    flags = os.O_RDONLY
    if write:
        make_folders(os.path.dirname(path))
        flags = os.O_WRONLY | os.O_CREAT
    fd = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(22, "not a regular file")
        if write:
            os.ftruncate(fd, 0)
    except OSError:
        os.close(fd)
        raise
    return fd


def make_folders(path: str) -> None:
    """Create a folder and those above it.

    Raises:
        OSError: it can't be created.
    """
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise OSError(errno.ENAMETOOLONG, "the path is too long")
    places = [place for place, char in enumerate(path) if char == "/" and place] + [len(path)]
    for place in places if path else ():
        with contextlib.suppress(FileExistsError):
            os.mkdir(path[:place])


def size_of(folders: list[str]) -> tuple[int, int]:
    """Bytes on the disk and number of the files in folders, counted up to the limit, and the bytes of deleted
    files that a process still has open."""
    size = files = 0
    seen: set[tuple[int, int]] = set()
    places = list(folders)
    while places and files <= MOST_FILES:
        with contextlib.suppress(OSError), os.scandir(places.pop()) as entries:
            for entry in entries:
                files += 1
                with contextlib.suppress(OSError):
                    size += entry.stat(follow_symlinks=False).st_blocks << 9
                    if entry.is_dir(follow_symlinks=False):
                        places.append(entry.path)
    for path in (path for pid in descendants() for path in glob.glob(f"/proc/{pid}/fd/*")):
        with contextlib.suppress(OSError):
            state = os.stat(path)
            file = state.st_dev, state.st_ino
            if not state.st_nlink and stat.S_ISREG(state.st_mode) and file not in seen:
                seen.add(file)
                size += state.st_blocks << 9
    return size, files


def emptied(path: str) -> bool:
    """Delete the files of a folder, and return whether nothing else of a program can be in it."""
    try:
        for name in os.listdir(path):
            os.unlink(f"{path}/{name}")
        mode = stat.S_IMODE(os.stat(path).st_mode)
        return mode == 0o1777 and not os.listdir(path) and not os.listxattr(path)
    except OSError:
        return False


def no_shared_objects() -> bool:
    """Whether no System V object is left, which lives longer than its processes."""
    for name in _SHARED_OBJECTS:
        with open(f"/proc/sysvipc/{name}", "rb") as file:
            if len(file.read(4096).splitlines()) > 1:
                return False
    return True
