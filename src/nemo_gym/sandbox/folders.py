"""Copies files and folders into and out of a sandbox, with any provider."""

from __future__ import annotations

import asyncio
import os
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Final

from nemo_gym.sandbox.archive import PACKED, packing_words
from nemo_gym.sandbox.errors import ArchiveIncomplete, SandboxFileError
from nemo_gym.sandbox.extraction import unpack
from nemo_gym.sandbox.providers.base import PacksFolders, SandboxHandle, SandboxProvider
from nemo_gym.support.finishing import finish

_COPY_S: Final = 600.0
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
    if not isinstance(provider, PacksFolders):
        await _copy_archive(provider, handle, path, target, most_bytes)
        return
    read, write = os.pipe()
    source, pipe = os.fdopen(read, "rb"), os.fdopen(write, "wb", 0)
    unpacking = asyncio.ensure_future(asyncio.to_thread(_unpack, source, target, most_bytes, name))
    try:
        with pipe:
            await provider.pack_folder(handle, path, pipe)
    except BaseException as error:
        await asyncio.wait([unpacking])
        refusal = unpacking.exception()
        if isinstance(error, Exception) and not isinstance(refusal, ArchiveIncomplete | None):
            raise refusal from error  # unpacking stopped reading, which is why packing failed
        raise
    await finish(unpacking)


async def _copy_archive(
    provider: SandboxProvider, handle: SandboxHandle, path: str, target: Path, most_bytes: int
) -> None:
    packed = await provider.exec(
        handle, f"{shlex.join(packing_words(path))} > {_ARCHIVE}", cwd="/", timeout_s=_COPY_S
    )
    if packed.return_code not in PACKED:
        raise SandboxFileError(f"{path} can't be packed: {(packed.stderr or '').strip()[-500:]}")
    with tempfile.TemporaryDirectory(prefix="gym-download-") as folder:
        archive = Path(folder, "archive.tar")
        await provider.download_file(handle, _ARCHIVE, archive)
        source = open(archive, "rb")  # noqa: ASYNC230, SIM115 - a new file; `_unpack` closes it
        await finish(asyncio.to_thread(_unpack, source, target, most_bytes, PurePosixPath(path).name))


def _unpack(source: IO[bytes], target: Path, most_bytes: int, name: str) -> None:
    with source:
        unpack(source, target, most_bytes=most_bytes, below=name)
