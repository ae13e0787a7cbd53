"""The open sessions of a served environment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.session import Session
from nemo_gym.wire.task import Row


class SeededSessions:
    """Sessions by the id in their caller's cookie.

    Each session is closed exactly once: when its rollout ends, after the environment's `session_ttl` without
    use, or when the server stops.
    """

    def __init__(self, link: LocalEnvironment) -> None:
        self._link = link
        self._open: dict[str, Session] = {}

    async def open(self, id: str, row: Row) -> Session:
        """Seed a session; an earlier session of the id is closed.

        Raises:
            EnvironmentFault: `seed` raised.
        """
        await self.finish(id)
        session = self._open[id] = await self._link.open(row)
        return session

    def find(self, id: str) -> Session | None:
        """The session of an id, if it is open."""
        session = self._open.get(id)
        return session if session is not None and self._link.is_open(session) else None

    async def finish(self, id: str) -> None:
        """Close the session of an id, if there is one."""
        session = self._open.pop(id, None)
        if session is not None:
            await self._link.finish(session)

    @asynccontextmanager
    async def cleanup(self) -> AsyncGenerator[None]:
        """Close expired sessions while the block runs, and all others at its end."""
        sweeper = asyncio.create_task(self._sweep())
        try:
            yield
        finally:
            sweeper.cancel()
            await asyncio.gather(sweeper, return_exceptions=True)
            for id in list(self._open):
                await self.finish(id)

    async def _sweep(self) -> None:
        pause = min(30.0, self._link.environment.session_ttl / 4)
        while True:
            await asyncio.sleep(pause)
            await self._link.close_expired()
            for id in [id for id, session in self._open.items() if not self._link.is_open(session)]:
                del self._open[id]
