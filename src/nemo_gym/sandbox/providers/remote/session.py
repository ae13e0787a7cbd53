"""An interactive session in a sandbox of a server."""

from __future__ import annotations

from nemo_gym.sandbox.errors import SandboxUnreachable
from nemo_gym.sandbox.providers.remote import messages
from nemo_gym.sandbox.providers.remote.server import Server


class RemoteSession:
    """A running program; a `PtySession`."""

    def __init__(self, server: Server, sandbox: str, session: str) -> None:
        self._server = server
        self._place = sandbox, session
        self._open = True

    async def read(self) -> bytes:
        return (await self._server.order(messages.PtyRead(*self._place), messages.Data)).data

    async def read_stderr(self) -> bytes:
        return (await self._server.order(messages.PtyRead(*self._place, stderr=True), messages.Data)).data

    async def write(self, data: bytes) -> None:
        await self._server.order(messages.PtyWrite(*self._place, data), messages.Nothing)

    async def resize(self, rows: int, cols: int) -> None:
        await self._server.order(messages.PtyResize(*self._place, rows, cols), messages.Nothing)

    async def send_signal(self, number: int) -> None:
        await self._server.order(messages.PtySignal(*self._place, number), messages.Nothing)

    async def wait_exit(self) -> int:
        return (await self._server.order(messages.PtyWait(*self._place), messages.Code)).code

    async def close(self) -> None:
        if not self._open:
            return
        self._open = False
        try:
            await self._server.order(messages.PtyClose(*self._place), messages.Nothing)
        except SandboxUnreachable:
            return  # the session ended with its sandbox
