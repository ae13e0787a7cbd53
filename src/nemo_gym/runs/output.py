"""What other processes print, made safe to be read on a terminal."""

from __future__ import annotations

import asyncio
import codecs
from asyncio import StreamReader
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Final, TextIO

from nemo_gym.wire.masking import without_secrets
from nemo_gym.wire.printable import printable


@asynccontextmanager
async def shown_output(*streams: tuple[StreamReader | None, TextIO]) -> AsyncGenerator[None]:
    """While the block runs, and until nothing more comes, show what is printed into pipes.

    Args:
        streams: of each pipe its end here, and where its text goes.
    """
    tasks = [asyncio.create_task(_show(stream, to)) for stream, to in streams if stream is not None]
    try:
        yield
    finally:
        if tasks:
            await asyncio.wait(tasks, timeout=_LAST_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _show(stream: StreamReader, to: TextIO) -> None:
    """Line by line, so that no secret is split; a very long line goes in pieces."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    while data := await stream.read(_PIECE):
        rest += decoder.decode(data)
        whole, newline, rest = rest.rpartition("\n")
        if len(rest) > _LONGEST:
            whole, newline, rest = whole + newline + rest, "\n", ""
        _write(whole + newline, to)
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
