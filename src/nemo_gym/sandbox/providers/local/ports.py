"""Connects ports of this machine's loopback interface with those of a sandbox that has its own network."""

from __future__ import annotations

import asyncio
import socket
from asyncio import StreamReader, StreamWriter
from typing import Final

from nemo_gym.sandbox.providers.local.control import Control
from nemo_gym.sandbox.relay import Relays

_CONNECT_S: Final = 10.0


class Ports:
    """Relays into the sandbox and out of it. Each one opens when it is first used."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._relays = Relays()
        self._outside: dict[int, int] = {}
        self._inside: dict[tuple[str, int], int] = {}
        self.close = self._relays.close

    async def outside(self, port: int) -> int:
        """The port of this machine that leads to a port of the sandbox.

        Raises:
            OSError: no port can be opened.
        """
        if port not in self._outside:

            async def connect() -> tuple[StreamReader, StreamWriter]:
                sock = await self._control.socket()
                sock.setblocking(False)
                try:
                    async with asyncio.timeout(_CONNECT_S):
                        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
                except BaseException:
                    sock.close()
                    raise
                return await asyncio.open_connection(sock=sock)

            self._outside[port] = await self._relays.listen(_bound(socket.socket()), connect)
        return self._outside[port]

    async def inside(self, host: str, port: int) -> int:
        """The port of the sandbox that leads to one server of this machine. Its socket belongs to the network
        of the sandbox; this process accepts the connections.

        Raises:
            OSError: no port can be opened.
            SandboxStopped: the sandbox is gone.
        """
        if (host, port) not in self._inside:

            async def connect() -> tuple[StreamReader, StreamWriter]:
                async with asyncio.timeout(_CONNECT_S):
                    return await asyncio.open_connection(host, port)

            listener = _bound(await self._control.socket())
            self._inside[host, port] = await self._relays.listen(listener, connect)
        return self._inside[host, port]


def _bound(listener: socket.socket) -> socket.socket:
    try:
        listener.bind(("127.0.0.1", 0))
    except OSError:
        listener.close()
        raise
    return listener
