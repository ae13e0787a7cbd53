"""Ports of a sandbox that has its own network, on this machine's loopback interface."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from contextlib import suppress
from typing import Final

from nemo_gym.sandbox.errors import SandboxStopped
from nemo_gym.sandbox.providers.local.control import Control

_CONNECT_S: Final = 10.0


class Ports:
    """Relays to the sandbox's ports, each opened when it is first asked for."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._relays: dict[int, asyncio.Server] = {}
        self._visits: set[asyncio.Task[None]] = set()

    async def outside(self, port: int) -> int:
        """The port here that leads to a port there.

        Raises:
            OSError: none can be opened.
        """
        if port not in self._relays:

            async def visit(reader: StreamReader, writer: StreamWriter) -> None:
                task = asyncio.current_task()
                assert task is not None
                self._visits.add(task)
                try:
                    await self._relay(port, reader, writer)
                finally:
                    self._visits.discard(task)

            self._relays[port] = await asyncio.start_server(visit, "127.0.0.1", 0)
        return self._relays[port].sockets[0].getsockname()[1]

    async def close(self) -> None:
        """End every connection."""
        for relay in self._relays.values():
            relay.close()
        visits = list(self._visits)
        for visit in visits:
            visit.cancel()
        await asyncio.gather(*visits, return_exceptions=True)
        for relay in self._relays.values():
            await relay.wait_closed()
        self._relays.clear()

    async def _relay(self, port: int, reader: StreamReader, writer: StreamWriter) -> None:
        inner: StreamWriter | None = None
        try:
            with suppress(OSError, SandboxStopped):
                sock = await self._control.socket()
                sock.setblocking(False)
                try:
                    async with asyncio.timeout(_CONNECT_S):
                        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
                except BaseException:
                    sock.close()
                    raise
                inner_reader, inner = await asyncio.open_connection(sock=sock)
                await asyncio.gather(_pump(reader, inner), _pump(inner_reader, writer))
        finally:
            for end in (writer, inner):
                if end is not None:
                    end.close()


async def _pump(reader: StreamReader, writer: StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
