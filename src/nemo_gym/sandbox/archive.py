"""Packs folders as tar archives for a sandbox; `extraction` reads the archives that come out."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, Final

from nemo_gym.sandbox.errors import InvalidSandbox


def pack(target: IO[bytes], folder: Path, place: str, texts: Mapping[str, str]) -> None:
    """Write an archive of a folder's contents and of texts. It has links as links, no sockets or devices, and
    not the files' owners.

    Args:
        target: the file to write to.
        folder: the folder.
        place: the folder's path in the archive.
        texts: further files by name; only their owner may read them.

    Raises:
        OSError: something can't be read.
    """
    with tarfile.open(fileobj=target, mode="w") as archive:
        for child in sorted(folder.iterdir()):
            archive.add(child, f"{place}/{child.name}", filter=_without_owner)
        for name, text in texts.items():
            content = text.encode("utf-8", "replace")
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o600
            archive.addfile(member, BytesIO(content))


def packing_words(folder: str) -> list[str]:
    """A program to run inside a sandbox. It writes an archive of a folder to standard output, in which the
    folder has the last part of its path as its name. Files that their owner may not read become readable
    first. It needs sh and tar.

    Raises:
        InvalidSandbox: the path does not name a folder.
    """
    return ["sh", "-c", _PACK, "sh", *parent_and_name(folder)]


def parent_and_name(folder: str) -> tuple[str, str]:
    """The folder above a folder, and its name there.

    Raises:
        InvalidSandbox: the path does not name a folder.
    """
    path = PurePosixPath(folder)
    if path.name in ("", ".."):
        raise InvalidSandbox(f"{folder!r} is not a folder that can be copied out")
    return str(path.parent), path.name


_PACK: Final = 'cd -- "$1" && { chmod -R u+rwX -- "./$2" 2>/dev/null; exec tar -cf - "./$2"; }'
PACKED: Final = (0, 1)
"""The exit codes of tar when the archive is whole. 1 means that a file changed meanwhile."""


def _without_owner(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
