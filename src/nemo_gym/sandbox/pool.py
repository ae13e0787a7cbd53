"""One pool of sandboxes for a whole run or server: one provider, one limit, shared by all sessions."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Generator, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

from nemo_gym import sandbox as room  # loads nothing before the first sandbox
from nemo_gym.sandbox.config import provider_setting
from nemo_gym.sandbox.errors import InvalidSandbox, SandboxStopped

if TYPE_CHECKING:
    from nemo_gym.sandbox.program import Program, ProgramResult
    from nemo_gym.sandbox.providers.base import SandboxProvider
    from nemo_gym.sandbox.sandbox import AsyncSandbox, Provider
    from nemo_gym.sandbox.spec import SandboxSpec

log: Final = logging.getLogger(__name__)


class SandboxPool:
    """Sandboxes for many holders, such as sessions. At most `limit` holders have sandboxes at the same time.

    A holder takes one place, however many sandboxes it has. So a holder that has a sandbox never waits for
    its next one. The pool creates its provider with the first sandbox.

    Args:
        provider: as for `AsyncSandbox`; the caller closes a provider object.
        limit: how many holders; None is twice the number of cores.

    Raises:
        InvalidSandbox: the limit is below 1.
    """

    def __init__(self, provider: Provider = "local", *, limit: int | None = None) -> None:
        if limit is not None and limit < 1:
            raise InvalidSandbox(f"max_sandboxes: expected a whole number from 1, not {limit}")
        self.limit = limit or default_limit()
        self._settings = {provider: dict[str, Any]()} if isinstance(provider, str) else provider
        self._provider: SandboxProvider | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._places = asyncio.Semaphore(self.limit)
        self._programs = asyncio.Semaphore(self.limit)
        self._in_use = 0

    def lease(self, *, last: bool = False) -> SandboxLease:
        """A lease for one holder, which the holder closes.

        Args:
            last: the pool has no other user, so that the end of the lease closes it.
        """
        return SandboxLease(self, closes_pool=last)

    def sandbox(self, spec: SandboxSpec | None = None) -> LeasedSandbox:
        """A sandbox that takes a place alone."""
        return self.lease().sandbox(spec)

    async def run_python(self, program: Program) -> ProgramResult:
        """Run a one-shot program in a sandbox of its own. At most `limit` run at the same time, beside
        the sandboxes of the holders, so that a holder with a sandbox can run one.

        Raises:
            SandboxCreateError: the sandbox can't be created.
            SandboxStopped: the sandbox failed while the program ran.
        """
        self._follow_loop()
        async with self._programs:
            self._in_use += 1
            try:
                return await room.run_program(self.provider(), program)
            finally:
                self._in_use -= 1

    async def take_place(self) -> None:
        """Wait until fewer than `limit` holders have a sandbox."""
        self._follow_loop()
        await self._places.acquire()
        self._in_use += 1

    def return_place(self) -> None:
        """Free a place for the next holder."""
        self._in_use -= 1
        self._places.release()

    def provider(self) -> SandboxProvider:
        """The provider of the sandboxes.

        Raises:
            InvalidSandbox: there is no such provider, or its settings don't fit.
        """
        if not isinstance(self._settings, Mapping):
            return self._settings
        if self._provider is None:
            self._provider = room.create_provider(self._settings)
        return self._provider

    async def aclose(self) -> None:
        """Close the provider, unless a sandbox is in use. Each user of a pool calls this at its end. The pool
        can be used again afterwards."""
        if self._in_use or self._provider is None:
            return
        provider, self._provider = self._provider, None
        try:
            await provider.aclose()
        except Exception as error:
            log.warning("sandbox provider %s can't be closed: %r", provider.name, error)

    def _follow_loop(self) -> None:
        """Start afresh in another event loop: nothing that belongs to a loop that has ended can be used."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._provider, self._in_use = loop, None, 0
            self._places = asyncio.Semaphore(self.limit)
            self._programs = asyncio.Semaphore(self.limit)


class SandboxLease:
    """The sandboxes of one holder. All of them share one place in the pool, and `aclose` ends them all."""

    def __init__(self, pool: SandboxPool, *, closes_pool: bool = False) -> None:
        self._pool = pool
        self._closes_pool = closes_pool
        self._open: set[AsyncSandbox] = set()
        self._first = asyncio.Lock()
        self._closed = False
        self.isolation: dict[str, str] = {}
        """The isolation of the sandboxes so far, by the name of their provider."""

    def sandbox(self, spec: SandboxSpec | None = None) -> LeasedSandbox:
        """A sandbox that starts when it is entered or awaited."""
        return LeasedSandbox(self, spec)

    async def run_python(self, program: Program) -> ProgramResult:
        """Run a program, which needs no place of this holder. Raises like `SandboxPool.run_python`."""
        self._check_open()
        result = await self._pool.run_python(program)
        self.isolation[self._pool.provider().name] = result.isolation
        return result

    async def start(self, spec: SandboxSpec | None) -> AsyncSandbox:
        """A started sandbox; `stop` ends it.

        Raises:
            SandboxCreateError: it can't be created.
            SandboxStopped: the holder has closed the lease.
        """
        async with self._first:
            self._check_open()
            if not self._open:
                await self._pool.take_place()
            try:
                sandbox = room.AsyncSandbox(self._pool.provider(), spec)
            except BaseException:
                if not self._open:
                    self._pool.return_place()
                raise
            self._open.add(sandbox)
        try:
            await sandbox.start()
            self._check_open()
        except BaseException:
            await self.stop(sandbox)
            raise
        self.isolation[sandbox.provider_name] = sandbox.isolation
        return sandbox

    async def stop(self, sandbox: AsyncSandbox) -> None:
        """End a sandbox. A second call does nothing."""
        try:
            await sandbox.stop()
        finally:
            if sandbox in self._open:
                self._open.remove(sandbox)
                if not self._open:
                    self._pool.return_place()

    async def aclose(self) -> None:
        """End every sandbox that still runs, also when this is cancelled. No more can be started."""
        self._closed = True
        async with AsyncExitStack() as stack:
            if self._closes_pool:
                stack.push_async_callback(self._pool.aclose)
            for sandbox in self._open:
                stack.push_async_callback(self.stop, sandbox)

    def _check_open(self) -> None:
        if self._closed:
            raise SandboxStopped("the session is over, so no sandbox can be started in it")


class LeasedSandbox:
    """A sandbox that is not started yet. `async with` starts it for a block, `await` until the lease is
    closed."""

    def __init__(self, lease: SandboxLease, spec: SandboxSpec | None) -> None:
        self._lease = lease
        self._spec = spec

    def __await__(self) -> Generator[Any, None, AsyncSandbox]:
        return self._lease.start(self._spec).__await__()

    async def __aenter__(self) -> AsyncSandbox:
        self._sandbox = await self._lease.start(self._spec)
        return self._sandbox

    async def __aexit__(self, *_: object) -> None:
        await self._lease.stop(self._sandbox)


def default_limit() -> int:
    """Twice the cores that this process may use, because the work in a sandbox often waits for a model."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 2 * cores


def named_pool(setting: str | Mapping[str, Any] | None, limit: int | None) -> SandboxPool:
    """A pool whose provider is checked at once.

    Args:
        setting: the name of a provider, `NAME=URL`, or a block `{name: settings}`; None is `local`.
        limit: as for `SandboxPool`.

    Raises:
        InvalidSandbox: there is no such provider, its settings don't fit, or the limit is below 1.
    """
    provider = provider_setting(setting, {})
    if provider:
        room.create_provider({provider: None} if isinstance(provider, str) else provider)
    return SandboxPool(provider or "local", limit=limit)


def shared_limit(limit: int | None, processes: int) -> int:
    """The part of a limit that each of several processes has.

    Args:
        limit: of all together; None is the default.
    """
    return max(1, (limit or default_limit()) // processes)
