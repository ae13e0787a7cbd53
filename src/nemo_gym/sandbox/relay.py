"""Relays of TCP connections between a sandbox and this machine."""

from __future__ import annotations

import asyncio
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from nemo_gym.sandbox.errors import SandboxStopped, SandboxUnsupported

Connect = Callable[[], Awaitable[tuple[StreamReader, StreamWriter]]]
"""Opens the other half of a connection."""

MOST_CONNECTIONS: Final = 256
"""The limit of one sandbox at a time. A further connection is closed at once."""


class Relays:
    """Listeners. Each one passes its connections on to one address only."""

    def __init__(self) -> None:
        self._servers: list[asyncio.Server] = []
        self._visits: set[asyncio.Task[None]] = set()

    async def listen(self, listener: socket.socket, connect: Connect) -> int:
        """Pass on the connections to `listener` and return its port.

        Args:
            listener: a bound socket, which `close` closes.
            connect: opens the other half of a connection.

        Raises:
            OSError: it can't listen.
        """

        async def visit(reader: StreamReader, writer: StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            if len(self._visits) >= MOST_CONNECTIONS:
                writer.close()
                return
            self._visits.add(task)
            try:
                await _pass_on(reader, writer, connect)
            finally:
                self._visits.discard(task)

        self._servers.append(await asyncio.start_server(visit, sock=listener))
        return listener.getsockname()[1]

    async def close(self) -> None:
        """End every connection."""
        for server in self._servers:
            server.close()
        visits = list(self._visits)
        for visit in visits:
            visit.cancel()
        await asyncio.gather(*visits, return_exceptions=True)
        self._servers.clear()


def http_address(url: str) -> tuple[str, int]:
    """Host and port of a server that answers under another name too.

    Raises:
        SandboxUnsupported: the URL is not http, and a certificate is bound to one name.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise SandboxUnsupported(f"{url} can't be reached from a sandbox without a network: only http can")
    return parts.hostname, parts.port or 80


def at_address(url: str, host: str, port: int) -> str:
    """A URL with another host and port."""
    return urlsplit(url)._replace(netloc=f"{host}:{port}").geturl()


async def _pass_on(reader: StreamReader, writer: StreamWriter, connect: Connect) -> None:
    other: StreamWriter | None = None
    try:
        with suppress(OSError, SandboxStopped):
            other_reader, other = await connect()
            await asyncio.gather(_pump(reader, other), _pump(other_reader, writer))
    except asyncio.CancelledError:
        for end in (writer, other):
            if end is not None:
                end.transport.abort()  # closing would wait until the other side reads what is left
        raise
    finally:
        for end in (writer, other):
            if end is not None:
                end.close()


async def _pump(reader: StreamReader, writer: StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
