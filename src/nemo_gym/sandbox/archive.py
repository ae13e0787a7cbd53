"""Packs folders as tar archives for a sandbox; `extraction` reads the archives that come out."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, Final

from nemo_gym.sandbox.errors import InvalidSandbox


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


def packing_words(folder: str) -> list[str]:
    """A program for the inside of a sandbox that writes an archive of a folder, called by the last part of
    its path, to standard output. What its owner may not read becomes readable first. Needs sh and tar.

    Raises:
        InvalidSandbox: the path does not name a folder.
    """
    return ["sh", "-c", _PACK, "sh", *parent_and_name(folder)]


def parent_and_name(folder: str) -> tuple[str, str]:
    """The place of a folder, and its name there.

    Raises:
        InvalidSandbox: the path does not name a folder.
    """
    path = PurePosixPath(folder)
    if path.name in ("", ".."):
        raise InvalidSandbox(f"{folder!r} is not a folder that can be copied out")
    return str(path.parent), path.name


_PACK: Final = 'cd -- "$1" && { chmod -R u+rwX -- "./$2" 2>/dev/null; exec tar -cf - "./$2"; }'
PACKED: Final = (0, 1)
"""Exit codes with which tar has made an archive; with the second one something changed meanwhile."""


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
