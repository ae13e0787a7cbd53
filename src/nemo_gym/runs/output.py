"""Shows what other processes print, without secrets and without characters that steer a terminal."""

from __future__ import annotations

import asyncio
import codecs
import os
from asyncio import StreamReader, StreamReaderProtocol
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Final, TextIO

from nemo_gym.support.pipe_end import PipeEnd
from nemo_gym.wire.masking import without_secrets
from nemo_gym.wire.safe_text import printable


@asynccontextmanager
async def show_output(*streams: TextIO) -> AsyncGenerator[tuple[int, ...]]:
    """A descriptor for each stream, to which processes print. Their output is shown on the stream while the
    block runs, and until no more comes.

    The pipes are not asyncio's own, because `Process.wait` would then also wait for the children that a
    process leaves running.
    """
    loop = asyncio.get_running_loop()
    tasks: list[asyncio.Task[None]] = []
    ends: list[int] = []
    async with AsyncExitStack() as stack:
        try:
            for stream in streams:
                source, end = os.pipe()
                ends.append(end)
                reader = StreamReader()
                transport, _ = await loop.connect_read_pipe(
                    partial(StreamReaderProtocol, reader), PipeEnd.file(source)
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
    """Show the output line by line, so that no secret is split; a very long line is shown in pieces."""
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
    """Write text; a terminal that is gone is no error."""
    if text:
        with suppress(OSError, ValueError):
            to.write(printable(without_secrets(text)))
            to.flush()


_PIECE: Final = 1 << 16
_LONGEST: Final = 1 << 20
"""Characters."""
_LAST_S: Final = 1.0
"""Seconds to wait for the rest of the output of a process that ended; another may hold its pipe open."""
