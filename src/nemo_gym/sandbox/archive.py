"""Folders as tar archives, the way into a sandbox and out of it again."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, Final

from nemo_gym.sandbox.errors import SandboxFileError

MOST_MEMBERS: Final = 100_000
_PIECE: Final = 1 << 20


def pack(target: IO[bytes], folder: Path, place: str, texts: Mapping[str, str]) -> None:
    """Write an archive of a folder's contents and of texts. Links are kept as links; sockets and the like are
    left out, and so is whom the files belong to.

    Args:
        target: what is written to.
        folder: whose contents go in.
        place: what the folder is called in the archive.
        texts: further files by name; only their owner may read them.

    Raises:
        OSError: something can't be read.
    """
    with tarfile.open(fileobj=target, mode="w") as archive:
        for child in sorted(folder.iterdir()):
            archive.add(child, f"{place}/{child.name}", filter=_nobodys)
        for name, text in texts.items():
            content = text.encode("utf-8", "replace")
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o600
            archive.addfile(member, BytesIO(content))


def unpack(source: IO[bytes], folder: Path, *, most_bytes: int) -> None:
    """Write out an archive that untrusted code made: files, folders, and links that lead nowhere else.

    Args:
        source: the archive.
        folder: an empty folder.
        most_bytes: of all files together.

    Raises:
        SandboxFileError: it is no archive, is too large, or names a place outside the folder.
        OSError: something can't be written.
    """
    links: list[tuple[Path, str]] = []
    left = most_bytes
    try:
        with tarfile.open(fileobj=source, mode="r:") as archive:
            for count, member in enumerate(archive):
                if count == MOST_MEMBERS:
                    raise SandboxFileError(f"it holds more than {MOST_MEMBERS} files")
                path = _inside(folder, member.name)
                if member.isdir():
                    path.mkdir(parents=True, exist_ok=True)
                elif member.issym():
                    links.append((path, member.linkname))
                elif member.isreg() or member.islnk():
                    left = _write(archive, member, path, left)
    except (tarfile.TarError, ValueError, KeyError, RecursionError) as error:
        raise SandboxFileError(f"it can't be read: {error}") from error
    _link(folder, links)


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _inside(folder: Path, name: str) -> Path:
    parts = PurePosixPath(name).parts
    if ".." in parts or name.startswith("/"):
        raise SandboxFileError(f"{name!r} is outside the folder")
    return folder.joinpath(*parts)


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path, most: int) -> int:
    """How many bytes may still be written afterwards. The size that a member claims is not relied on."""
    content = archive.extractfile(member)
    if content is None:
        raise SandboxFileError(f"{member.name!r} has no content")
    path.parent.mkdir(parents=True, exist_ok=True)
    with content, path.open("wb") as file:
        while data := content.read(_PIECE):
            most -= len(data)
            if most < 0:
                raise SandboxFileError("it holds more than it may")
            file.write(data)
        os.fchmod(file.fileno(), member.mode & 0o777 | 0o600)
    return most


def _link(folder: Path, links: list[tuple[Path, str]]) -> None:
    """Made after everything else, so that nothing is ever written through one; what leads out is removed."""
    made: list[Path] = []
    for path, target in links:
        if not os.path.lexists(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(target)
            made.append(path)
    root = folder.resolve()
    for path in made:
        if not Path(os.path.realpath(path)).is_relative_to(root):
            path.unlink()
