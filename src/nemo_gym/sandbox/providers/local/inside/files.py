"""The files of a sandbox: opened for the provider, measured and deleted."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import stat
from itertools import islice

from nemo_gym.sandbox.providers.local.inside.processes import descendants

TYPE_CHECKING = False  # The first program need not wait for `typing`.
if TYPE_CHECKING:
    from collections.abc import Generator

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
    """Bytes on the disk and number of the files in folders, and the bytes of deleted files that a process
    still has open. Files are counted up to the limit, and are more than that if too many folders lie inside
    each other."""
    size = _Size()
    for folder in folders:
        try:
            size.add_folder(folder, None)
        except (OSError, RecursionError):
            size.files = MOST_FILES + 1
    for path in (path for pid in descendants() for path in glob.glob(f"/proc/{pid}/fd/*")):
        with contextlib.suppress(OSError):
            state = os.stat(path)
            if not state.st_nlink and stat.S_ISREG(state.st_mode):
                size.add(state)
    return size.bytes, size.files


class _Size:
    def __init__(self) -> None:
        self.bytes = 0
        self.files = 0
        self._seen: set[tuple[int, int]] = set()

    def add(self, state: os.stat_result) -> None:
        """Add a file, which may have several names."""
        file = state.st_dev, state.st_ino
        if file not in self._seen:
            self._seen.add(file)
            self.bytes += state.st_blocks << 9

    def add_folder(self, name: str, above: int | None) -> None:
        """Add what is below a folder.

        Raises:
            OSError, RecursionError: it is too deep.
        """
        with _readable(name, above) as folder:
            with os.scandir(folder) as listing:
                entries = list(islice(listing, MOST_FILES + 1))
            for entry in entries:
                self.files += 1
                try:
                    state = entry.stat(follow_symlinks=False)
                    self.add(state)
                    if stat.S_ISDIR(state.st_mode) and self.files <= MOST_FILES:
                        self.add_folder(entry.name, folder)
                except OSError as error:
                    if error.errno in (errno.EMFILE, errno.ENFILE):
                        raise
                    # otherwise it is gone


@contextlib.contextmanager
def _readable(name: str, above: int | None) -> Generator[int]:
    """An open folder, which no link leads to. If its owner can't read or search it, he can meanwhile."""
    place = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        path = f"/proc/self/fd/{place}"
        mode = stat.S_IMODE(os.fstat(place).st_mode)
        unlocked = mode | stat.S_IRUSR | stat.S_IXUSR
        if mode != unlocked:
            os.chmod(path, unlocked)
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(place)
    try:
        yield folder
    finally:
        if mode != unlocked and stat.S_IMODE(os.fstat(folder).st_mode) == unlocked:
            os.fchmod(folder, mode)
        os.close(folder)


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
