"""Copies files and folders into and out of a sandbox, with any provider."""

from __future__ import annotations

import asyncio
import os
import shlex
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Final

from nemo_gym.sandbox.archive import PACKED, packing_words
from nemo_gym.sandbox.errors import ArchiveIncomplete, ArchiveRefused, SandboxFileError
from nemo_gym.sandbox.extraction import unpack
from nemo_gym.sandbox.providers.base import PacksFolders, SandboxHandle, SandboxProvider
from nemo_gym.support.finishing import finish

_COPY_S: Final = 600.0
_PIECE: Final = 1 << 20
_ARCHIVE: Final = "/tmp/gym-folder.tar"  # noqa: S108 - the sandbox's own


async def upload_texts(provider: SandboxProvider, handle: SandboxHandle, texts: Mapping[str, str]) -> None:
    """Write text files into a sandbox, by their paths.

    Raises:
        OSError: one can't be written.
    """
    if not texts:
        return
    with tempfile.TemporaryDirectory(prefix="gym-upload-") as folder:
        source = Path(folder, "file")
        for path, text in texts.items():
            await asyncio.to_thread(source.write_bytes, text.encode("utf-8", "surrogateescape"))
            await provider.upload_file(handle, source, path)


async def copy_folder(
    provider: SandboxProvider, handle: SandboxHandle, path: str, target: Path, *, most_bytes: int
) -> None:
    """Copy a folder out. A provider that can pack a folder writes it to a pipe, once nothing runs inside any
    more. With others an archive is packed inside and downloaded. Neither archive is trusted.

    Raises:
        ArchiveRefused: it is too large, too deep, or a trick.
        OSError: it can't be read or written.
    """
    name = PurePosixPath(path).name
    if isinstance(provider, PacksFolders):
        await _through_pipe(provider, handle, path, lambda source: _unpack(source, target, most_bytes, name))
        return
    with tempfile.TemporaryDirectory(prefix="gym-download-") as folder:
        archive = Path(folder, "archive.tar")
        await _pack_inside(provider, handle, path, archive)
        source = open(archive, "rb")  # noqa: ASYNC230, SIM115 - a new file; `_unpack` closes it
        await finish(asyncio.to_thread(_unpack, source, target, most_bytes, name))


async def save_archive(
    provider: SandboxProvider, handle: SandboxHandle, path: str, target: Path, *, most_bytes: int
) -> None:
    """Write an archive of a folder to a new file outside, once nothing runs inside any more if the provider
    can end it. The archive is not trusted.

    Raises:
        ArchiveRefused: it is too large.
        OSError: it can't be read or written.
    """
    if isinstance(provider, PacksFolders):
        await _through_pipe(provider, handle, path, lambda source: _save(source, target, most_bytes))
        return
    await _pack_inside(provider, handle, path, target)
    if os.stat(target).st_size > most_bytes:
        raise _too_large(most_bytes)


async def _through_pipe(
    provider: PacksFolders, handle: SandboxHandle, path: str, read: Callable[[IO[bytes]], None]
) -> None:
    """Pack a folder into a pipe from which `read` reads in a thread and which it closes."""
    reading, writing = os.pipe()
    source, pipe = os.fdopen(reading, "rb"), os.fdopen(writing, "wb", 0)
    work = asyncio.ensure_future(asyncio.to_thread(read, source))
    try:
        with pipe:
            await provider.pack_folder(handle, path, pipe)
    except BaseException as error:
        await asyncio.wait([work])
        refusal = work.exception()
        if isinstance(error, Exception) and not isinstance(refusal, ArchiveIncomplete | None):
            raise refusal from error  # the reader stopped, which is why packing failed
        raise
    await finish(work)


async def _pack_inside(provider: SandboxProvider, handle: SandboxHandle, path: str, target: Path) -> None:
    packed = await provider.exec(
        handle, f"{shlex.join(packing_words(path))} > {_ARCHIVE}", cwd="/", timeout_s=_COPY_S
    )
    if packed.return_code not in PACKED:
        raise SandboxFileError(f"{path} can't be packed: {(packed.stderr or '').strip()[-500:]}")
    await provider.download_file(handle, _ARCHIVE, target)


def _unpack(source: IO[bytes], target: Path, most_bytes: int, name: str) -> None:
    with source:
        unpack(source, target, most_bytes=most_bytes, below=name)


def _save(source: IO[bytes], target: Path, most_bytes: int) -> None:
    with source, target.open("wb") as file:
        while piece := source.read(_PIECE):
            file.write(piece)
            if file.tell() > most_bytes:
                raise _too_large(most_bytes)


def _too_large(most_bytes: int) -> ArchiveRefused:
    return ArchiveRefused(f"the archive is larger than {most_bytes} bytes")
