"""Interactive sessions in a sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any, Self

from nemo_gym.sandbox.errors import SandboxUnsupported
from nemo_gym.sandbox.providers.base import (
    AttachesPty,
    OffersPty,
    PtySession,
    SandboxHandle,
    SandboxProvider,
    SandboxPtySpec,
)


class Pty:
    """A running session. Iterating yields its output to its end; leaving its context kills it."""

    def __init__(self, session: PtySession) -> None:
        self.read = session.read
        self.read_stderr = session.read_stderr
        self.write = session.write
        self.resize = session.resize
        self.send_signal = session.send_signal
        self.wait_exit = session.wait_exit
        self.close = session.close

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self.read():
            yield data

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


class PtySessions:
    """Opens sessions in one sandbox (`sandbox.pty`)."""

    def __init__(self, provider: SandboxProvider, handle: Callable[[], SandboxHandle]) -> None:
        self._provider = provider
        self._handle = handle

    async def create(self, spec: SandboxPtySpec | None = None, **fields: Any) -> Pty:
        """Start a program.

        Args:
            spec: the session.
            fields: replace those of the spec.

        Raises:
            SandboxUnsupported: the provider has no sessions.
            SandboxPtyError: it can't be started.
        """
        handle = self._handle()
        if not isinstance(self._provider, OffersPty):
            raise SandboxUnsupported(f"sandbox provider {self._provider.name!r} has no interactive sessions")
        return Pty(await self._provider.create_pty(handle, replace(spec or SandboxPtySpec(), **fields)))

    async def exec(self, command: str, **fields: Any) -> Pty:
        """Start a line of shell. Raises like `create`."""
        return await self.create(command=command, **fields)

    async def attach(self, session_id: str) -> Pty:
        """Take over a session that somebody else opened.

        Raises:
            SandboxUnsupported: the provider can't do this.
        """
        handle = self._handle()
        if not isinstance(self._provider, AttachesPty):
            raise SandboxUnsupported(f"sandbox provider {self._provider.name!r} can't attach to sessions")
        return Pty(await self._provider.attach_pty(handle, session_id))
