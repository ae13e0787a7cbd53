"""Reads the output of a program up to a limit."""

from __future__ import annotations

import asyncio
import os
from typing import IO, Self

from nemo_gym.support.pipe_end import PipeEnd


class Output(asyncio.Protocol):
    """The beginning and the end of the data in a pipe. Leaving its context closes both ends of the pipe.

    Args:
        most: the limit in bytes. Beyond it the middle is dropped and counted.
        end: the end to write to. The caller closes it once a program has it.
    """

    def __init__(self, most: int, end: IO[bytes]) -> None:
        self.end = end
        self.drained = asyncio.get_running_loop().create_future()
        """Done when no process holds the pipe open."""
        self._head = bytearray()
        self._tail = bytearray()
        self._most_head = most // 2
        self._most_tail = most - most // 2
        self._dropped_bytes = 0
        self._transport: asyncio.BaseTransport | None = None

    @classmethod
    async def pipe(cls, most: int) -> Self:
        """The output of a new pipe."""
        read, write = os.pipe()
        reading, writing = PipeEnd.file(read), os.fdopen(write, "wb", 0)
        try:
            _, output = await asyncio.get_running_loop().connect_read_pipe(
                lambda: cls(most, writing), reading
            )
        except BaseException:
            reading.close()
            writing.close()
            raise
        return output

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading. A process that still writes gets an error."""
        self.end.close()
        if self._transport is not None:
            self._transport.close()

    @property
    def data(self) -> bytes:
        """The output within the limit, with a line about the size of the rest."""
        if not self._dropped_bytes:
            return bytes(self._head + self._tail)
        return (
            bytes(self._head) + b"\n[... %d bytes left out ...]\n" % self._dropped_bytes + bytes(self._tail)
        )

    @property
    def text(self) -> str:
        """`data` as UTF-8; invalid bytes become U+FFFD."""
        return self.data.decode("utf-8", "replace")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        room = self._most_head - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        beyond = len(self._tail) - self._most_tail
        if beyond > 0:
            del self._tail[:beyond]
            self._dropped_bytes += beyond

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.drained.done():
            self.drained.set_result(None)
