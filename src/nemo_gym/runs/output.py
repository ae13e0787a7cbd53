"""What other processes print, made safe to be read on a terminal."""

from __future__ import annotations

import asyncio
import codecs
import os
from asyncio import StreamReader, StreamReaderProtocol
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Final, TextIO

from nemo_gym.wire.masking import without_secrets
from nemo_gym.wire.safe_text import printable


@asynccontextmanager
async def shown_output(*streams: TextIO) -> AsyncGenerator[tuple[int, ...]]:
    """For each stream a descriptor for processes to print to. What they print is shown there while the block
    runs, and until nothing more comes.

    The pipes are not asyncio's own: `Process.wait` would wait for whatever the process leaves behind as well.
    """
    loop = asyncio.get_running_loop()
    tasks: list[asyncio.Task[None]] = []
    ends: list[int] = []
    async with AsyncExitStack() as stack:
        try:
            for stream in streams:
                read, write = os.pipe()
                ends.append(write)
                reader = StreamReader()
                transport, _ = await loop.connect_read_pipe(
                    partial(StreamReaderProtocol, reader), os.fdopen(read, "rb", 0)
                )
                stack.callback(transport.close)
                tasks.append(asyncio.create_task(_show(reader, stream)))
            yield tuple(ends)
        finally:
            for end in ends:
                os.close(end)
            if tasks:
                await asyncio.wait(tasks, timeout=_LAST_S)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _show(stream: StreamReader, to: TextIO) -> None:
    """Line by line, so that no secret is split; a very long line goes in pieces."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    try:
        while data := await stream.read(_PIECE):
            rest += decoder.decode(data)
            whole, newline, rest = rest.rpartition("\n")
            if len(rest) > _LONGEST:
                whole, newline, rest = whole + newline + rest, "\n", ""
            _write(whole + newline, to)
    finally:
        _write(rest + decoder.decode(b"", True), to)


def _write(text: str, to: TextIO) -> None:
    """A terminal that is gone keeps nobody from going on."""
    if text:
        with suppress(OSError, ValueError):
            to.write(printable(without_secrets(text)))
            to.flush()


_PIECE: Final = 1 << 16
_LONGEST: Final = 1 << 20
"""Characters."""
_LAST_S: Final = 1.0
"""Seconds for the rest of the output of a process that has ended; others may hold its pipe open."""
