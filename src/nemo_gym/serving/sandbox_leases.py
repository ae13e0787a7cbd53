"""The sandboxes of a sandbox server: each ends when its client gives no sign of life."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from secrets import token_urlsafe
from time import monotonic
from typing import Final

from nemo_gym.sandbox.errors import SandboxPtyError, SandboxUnreachable
from nemo_gym.sandbox.pool import SandboxLease, SandboxPool
from nemo_gym.sandbox.pty import Pty
from nemo_gym.sandbox.sandbox import AsyncSandbox
from nemo_gym.sandbox.spec import SandboxPtySpec, SandboxSpec

log: Final = logging.getLogger(__name__)

MOST_SESSIONS: Final = 64
"""Interactive sessions of one sandbox that are open at the same time."""


@dataclass(slots=True)
class Leased:
    """A running sandbox and its interactive sessions."""

    id: str
    sandbox: AsyncSandbox
    place: SandboxLease
    renewed_at: float
    sessions: dict[str, Pty] = field(default_factory=dict[str, Pty])

    def session(self, id: str) -> Pty:
        """An open session.

        Raises:
            SandboxPtyError: there is none of that id.
        """
        session = self.sessions.get(id)
        if session is None:
            raise SandboxPtyError("the session is closed")
        return session

    async def open_session(self, spec: SandboxPtySpec) -> str:
        """The id of a new session.

        Raises:
            SandboxPtyError: it can't be started, or too many are open.
        """
        if len(self.sessions) >= MOST_SESSIONS:
            raise SandboxPtyError(f"{MOST_SESSIONS} sessions are open already")
        session, id = await self.sandbox.pty.create(spec), token_urlsafe(12)
        self.sessions[id] = session
        return id

    async def close_session(self, id: str) -> None:
        """End a session. A second call does nothing."""
        if session := self.sessions.pop(id, None):
            await session.close()


class LeasedSandboxes:
    """The sandboxes by ids that can't be guessed: who knows an id can use the sandbox.

    Args:
        pool: has a place for each.
        lease_s: seconds without a sign of life after which a sandbox ends.
    """

    def __init__(self, pool: SandboxPool, *, lease_s: float) -> None:
        self.pool = pool
        self.lease_s = lease_s
        self._by_id: dict[str, Leased] = {}

    async def create(self, spec: SandboxSpec) -> Leased:
        """A sandbox, once the pool has a place.

        Raises:
            SandboxCreateError: it can't be created.
        """
        place = self.pool.lease()
        sandbox = await place.start(spec)
        leased = Leased(token_urlsafe(24), sandbox, place, monotonic())
        self._by_id[leased.id] = leased
        return leased

    def find(self, id: str) -> Leased:
        """A sandbox, whose lease is renewed.

        Raises:
            SandboxUnreachable: there is none of that id.
        """
        leased = self._by_id.get(id)
        if leased is None:
            raise SandboxUnreachable(
                "the server has no such sandbox: it was closed, its lease ran out, or the server was started "
                "again"
            )
        leased.renewed_at = monotonic()
        return leased

    @asynccontextmanager
    async def use(self, id: str) -> AsyncGenerator[Leased]:
        """A sandbox for one operation, whose lease is renewed before and after.

        Raises:
            SandboxUnreachable: there is none of that id, or the server ended it meanwhile, so that the
                result of the operation says nothing about the code inside.
        """
        try:
            yield self.find(id)
        except Exception:
            self.find(id)
            raise
        self.find(id)

    def renew(self, ids: Iterable[str]) -> None:
        """Renew the leases of sandboxes, as far as there are any of these ids."""
        for id in ids:
            if leased := self._by_id.get(id):
                leased.renewed_at = monotonic()

    async def close(self, id: str) -> None:
        """End a sandbox. Nothing happens if there is none of that id."""
        if leased := self._by_id.pop(id, None):
            await leased.place.aclose()

    async def sweep(self) -> None:
        """End the sandboxes whose leases have run out."""
        limit = monotonic() - self.lease_s
        late = [id for id, leased in self._by_id.items() if leased.renewed_at < limit]
        if late:
            log.warning(
                "%d sandboxes end: their clients gave no sign of life for %g s", len(late), self.lease_s
            )
        await asyncio.gather(*(self.close(id) for id in late))

    async def aclose(self) -> None:
        """End every sandbox, and close the pool."""
        await asyncio.gather(*(self.close(id) for id in list(self._by_id)))
        await self.pool.aclose()
