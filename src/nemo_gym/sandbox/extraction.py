"""Unpacks archives from untrusted code into a folder of this machine.

An archive is read once, from its beginning to its end, because it comes out of a pipe. While it is read
everything has a limit: bytes, members, the length and depth of names, the size of extended headers. Every
member is created through the descriptor of its folder, and only where nothing exists, so no link is followed.
"""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from nemo_gym.sandbox.errors import ArchiveIncomplete, ArchiveRefused

MOST_MEMBERS: Final = 100_000
MOST_DEPTH: Final = 100
"""The most folders inside each other."""
MOST_NAME: Final = 255
"""Bytes of the name of one file."""
MOST_PATH: Final = 4095
"""Bytes of a path, and of the target of a link."""
MOST_NAMES: Final = 32 << 20
"""Bytes of all paths together, and of all extended headers."""
MOST_PAX: Final = 16 << 10
"""Bytes of one extended header."""

_BLOCK: Final = tarfile.BLOCKSIZE
_PIECE: Final = 1 << 20
_MOST_PADDING: Final = 1 << 20
_DEVICES: Final = (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
_REGULAR: Final = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_PAX: Final = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.XGLTYPE)

Parts = tuple[bytes, ...]
"""A path below the folder, without `.` and `..`."""


def unpack(source: IO[bytes], folder: Path, *, most_bytes: int, below: str | None = None) -> None:
    """Unpack files, folders, and links that stay in the folder. Devices, pipes, absolute links and links that
    lead out of the folder are skipped.

    Args:
        source: the archive, which need not be seekable. It is read to its end.
        folder: an empty folder. After an error it may hold a part of the files.
        most_bytes: the limit for all content together, with skipped members and copies of hard links.
        below: the name of the only folder in the archive; its contents are unpacked.

    Raises:
        ArchiveRefused: it is no archive, is too large, or is not an archive of one folder: it has a name
            outside, a name twice, a member below a link or a file, or a sparse file.
        OSError: something can't be written.
    """
    stream = _Stream(source, most_bytes)
    target = _Target(folder, stream)
    try:
        for member in _members(stream):
            target.add(_below(_parts(member.name), below), member, below)
        target.link()
        stream.finish()
    except tarfile.HeaderError as error:
        raise ArchiveRefused(f"it can't be read: {error}") from None
    finally:
        target.close()


@dataclass(slots=True)
class _Member:
    kind: bytes
    name: bytes
    link: bytes
    size: int
    mode: int


class _Stream:
    """The bytes of an archive, with their limits."""

    def __init__(self, source: IO[bytes], most: int) -> None:
        self._source = source
        self._rest = most
        self._headers = MOST_NAMES

    def exactly(self, size: int) -> bytes:
        """The next `size` bytes.

        Raises:
            ArchiveIncomplete: the archive ends before.
        """
        data = self._source.read(size)
        if len(data) < size:
            raise ArchiveIncomplete("it can't be read: it ends too early")
        return data

    def content(self, size: int) -> Iterator[bytes]:
        """The content of a member, piece by piece. The padding behind it is skipped."""
        self.spend(size)
        yield from self._pieces(size)

    def whole(self, size: int, most: int, what: str) -> bytes:
        """The content of a member that describes the next one.

        Raises:
            ArchiveRefused: it is longer than `most`, or all of them together are too long.
        """
        self._headers -= size
        if size > most or self._headers < 0:
            raise ArchiveRefused(f"it has {what} of {size} bytes: at most {min(most, self._headers + size)}")
        return b"".join(self._pieces(size))

    def spend(self, size: int) -> None:
        """Count bytes that will be written.

        Raises:
            ArchiveRefused: there are too many of them.
        """
        self._rest -= size
        if self._rest < 0:
            raise ArchiveRefused("it holds more than it may")

    def _pieces(self, size: int) -> Iterator[bytes]:
        padding = -size % _BLOCK
        while size:
            piece = self.exactly(min(size, _PIECE))
            size -= len(piece)
            yield piece
        self.exactly(padding)

    def finish(self) -> None:
        """Read the padding behind the end of the archive, so that its writer can end."""
        if len(self._source.read(_MOST_PADDING)) == _MOST_PADDING:
            raise ArchiveRefused("it goes on behind its end")


class _Target:
    """The folder to fill. It keeps the descriptor of the folder that was used last."""

    def __init__(self, folder: Path, stream: _Stream) -> None:
        self._stream = stream
        self._root = os.open(folder, _FOLDER)
        self._last: tuple[Parts, int] = ((), os.dup(self._root))
        self._links: dict[bytes, bytes] = {}
        """The target of each link, by its path."""
        self._devices: set[bytes] = set()

    def close(self) -> None:
        os.close(self._last[1])
        os.close(self._root)

    def add(self, path: Parts, member: _Member, below: str | None) -> None:
        if member.kind not in _REGULAR and member.size:
            raise ArchiveRefused(f"{_name(path)} is no file and has content")
        if member.kind == tarfile.DIRTYPE:
            self._enter(path)
        elif not path:
            raise ArchiveRefused("it holds no folder")
        elif member.kind in _REGULAR:
            self._write(path, self._stream.content(member.size), member.mode)
        elif member.kind == tarfile.SYMTYPE:
            self._keep_link(_path_bytes(path), member.link)
        elif member.kind == tarfile.LNKTYPE:
            self._copy(path, _below(_parts(member.link), below))
        elif member.kind in _DEVICES:
            self._devices.add(_path_bytes(path))
        else:
            raise ArchiveRefused(f"{_name(path)} is of the kind {member.kind!r}, which can't be unpacked")

    def link(self) -> None:
        """Create the links, after everything else. Links that lead elsewhere are skipped."""
        for key, target in self._links.items():
            path = tuple(key.split(b"/"))
            if any(_path_bytes(path[:depth]) in self._links for depth in range(1, len(path))):
                raise ArchiveRefused(f"{_name(path)} is below a link")
            parent = self._enter(path[:-1])
            with _refusal(path):
                if _leads_inside(path, target):
                    os.symlink(target, path[-1], dir_fd=parent)
                elif _exists(path[-1], parent):
                    raise FileExistsError

    def _keep_link(self, path: bytes, target: bytes) -> None:
        if path in self._links:
            raise ArchiveRefused(f"{_name((path,))} is there twice")
        self._links[path] = target

    def _enter(self, path: Parts) -> int:
        """The descriptor of a folder, which is created if it is missing. The next call may close it."""
        if self._last[0] != path:
            descriptor = os.dup(self._root)
            try:
                with _refusal(path):
                    for name in path:
                        above, descriptor = descriptor, _step(descriptor, name)
                        os.close(above)
            except BaseException:
                os.close(descriptor)
                raise
            os.close(self._last[1])
            self._last = (path, descriptor)
        return self._last[1]

    def _write(self, path: Parts, content: Iterator[bytes], mode: int) -> None:
        parent = self._enter(path[:-1])
        with _refusal(path):
            fd = os.open(path[-1], _NEW, 0o600, dir_fd=parent)
        with os.fdopen(fd, "wb") as file:
            for piece in content:
                file.write(piece)
            os.fchmod(file.fileno(), mode & 0o755 | 0o600)

    def _copy(self, path: Parts, original: Parts) -> None:
        """Copy the file that a hard link leads to."""
        key = _path_bytes(original)
        if key in self._devices:
            self._devices.add(_path_bytes(path))
        elif key in self._links:
            self._keep_link(_path_bytes(path), self._links[key])
        elif not original:
            raise ArchiveRefused(f"{_name(path)} is a hard link to a folder")
        else:
            with _refusal(original):
                fd = os.open(original[-1], _OLD, dir_fd=self._enter(original[:-1]))
            try:
                status = os.fstat(fd)
                if not stat.S_ISREG(status.st_mode):
                    raise ArchiveRefused(f"{_name(original)} is no file")
                self._stream.spend(status.st_size)
                self._write(path, iter(lambda: os.read(fd, _PIECE), b""), status.st_mode)
            finally:
                os.close(fd)


def _members(stream: _Stream) -> Iterator[_Member]:
    """The members, with the names and sizes of their extended headers."""
    name = link = size = None
    names = 0
    for count in range(MOST_MEMBERS + 1):
        block = stream.exactly(_BLOCK)
        if not block.strip(b"\0"):
            return
        if count == MOST_MEMBERS:
            break
        header = tarfile.TarInfo.frombuf(block, "latin-1", "strict")
        if header.size < 0:
            raise ArchiveRefused("it has a member of negative size")
        if header.type == tarfile.GNUTYPE_LONGNAME:
            name = stream.whole(header.size, MOST_PATH + 1, "a name").partition(b"\0")[0]
        elif header.type == tarfile.GNUTYPE_LONGLINK:
            link = stream.whole(header.size, MOST_PATH + 1, "a link").partition(b"\0")[0]
        elif header.type in _PAX:
            records = _pax(stream.whole(header.size, MOST_PAX, "an extended header"))
            if header.type == tarfile.XGLTYPE and records:
                raise ArchiveRefused("it has one name or size for all its members")
            name, link = records.get(b"path", name), records.get(b"linkpath", link)
            size = _number(records[b"size"]) if b"size" in records else None
        else:
            member = _Member(
                header.type,
                header.name.encode("latin-1") if name is None else name,
                header.linkname.encode("latin-1") if link is None else link,
                header.size if size is None else size,
                header.mode,
            )
            name = link = size = None
            names += len(member.name) + len(member.link)
            if names > MOST_NAMES:
                raise ArchiveRefused(f"its names are longer than {MOST_NAMES} bytes together")
            yield member
    raise ArchiveRefused(f"it holds more than {MOST_MEMBERS} files")


def _pax(data: bytes) -> dict[bytes, bytes]:
    """The path, link and size of a member in an extended header (pax(1), `length key=value`)."""
    records: dict[bytes, bytes] = {}
    while data:
        digits, space, _ = data[:16].partition(b" ")
        length = _number(digits)
        record = data[len(digits) + 1 : length]
        key, equals, value = record[:-1].partition(b"=")
        if not space or not equals or not len(digits) + 1 < length <= len(data) or record[-1:] != b"\n":
            raise ArchiveRefused("it has an extended header that can't be read")
        if key.startswith(b"GNU.sparse"):
            raise ArchiveRefused("it holds a sparse file")
        if key in (b"path", b"linkpath", b"size"):
            records[key] = value
        data = data[length:]
    return records


def _number(digits: bytes) -> int:
    if not digits.isdigit() or len(digits) > 18:
        raise ArchiveRefused("it has an extended header that can't be read")
    return int(digits)


def _parts(name: bytes) -> Parts:
    """A member's place below the folder.

    Raises:
        ArchiveRefused: it is outside the folder, or its name is too long or too deep.
    """
    parts = tuple(part for part in name.split(b"/") if part not in (b"", b"."))
    if name.startswith(b"/") or b".." in parts:
        raise ArchiveRefused(f"{_name(parts)} is outside the folder")
    if b"\0" in name:
        raise ArchiveRefused(f"{_name(parts)} is no name of a file")
    if len(name) > MOST_PATH or any(len(part) > MOST_NAME for part in parts):
        raise ArchiveRefused(f"{_name(parts)} is too long a name")
    if len(parts) > MOST_DEPTH:
        raise ArchiveRefused(f"{_name(parts)} is more than {MOST_DEPTH} folders deep")
    return parts


def _below(path: Parts, folder: str | None) -> Parts:
    if folder is None:
        return path
    if path[:1] != (os.fsencode(folder),):
        raise ArchiveRefused(f"{_name(path)} is outside the folder")
    return path[1:]


def _leads_inside(path: Parts, target: bytes) -> bool:
    """Whether a link stays below the folder, whatever other links are on its way. It may go up only at its
    beginning, through real folders, and not above the first of them."""
    if not target or target.startswith(b"/") or b"\0" in target or len(target) > MOST_PATH:
        return False
    parts = [part for part in target.split(b"/") if part not in (b"", b".")]
    up = next((place for place, part in enumerate(parts) if part != b".."), len(parts))
    return up < len(path) and b".." not in parts[up:]


def _step(descriptor: int, name: bytes) -> int:
    """The descriptor of a folder one step down, which is created if it is missing."""
    with suppress(FileExistsError):
        os.mkdir(name, 0o755, dir_fd=descriptor)
    return os.open(name, _FOLDER, dir_fd=descriptor)


def _exists(name: bytes, parent: int) -> bool:
    try:
        os.lstat(name, dir_fd=parent)
    except FileNotFoundError:
        return False
    return True


@contextmanager
def _refusal(path: Parts) -> Generator[None, None, None]:
    """Raise an error of the file system as an error of the archive, with the member's path."""
    try:
        yield
    except FileExistsError:
        raise ArchiveRefused(f"{_name(path)} is there twice") from None
    except FileNotFoundError:
        raise ArchiveRefused(f"{_name(path)} is not there") from None
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        raise ArchiveRefused(f"{_name(path)} is below something that is no folder") from None


def _path_bytes(path: Parts) -> bytes:
    return b"/".join(path)


def _name(path: Parts) -> str:
    return ascii(os.fsdecode(_path_bytes(path)))[:200]


_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OLD: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
