"""Orders to a sandbox server by their keys: each is carried out once, however often it is sent."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, NamedTuple

from starlette.exceptions import HTTPException

from nemo_gym.sandbox.errors import SandboxUnreachable
from nemo_gym.sandbox.providers.remote.messages import REFUSED, Refusal
from nemo_gym.wire.jsonl import encode


class Answer(NamedTuple):
    """The answer to an order."""

    status: int
    content: bytes


@dataclass(slots=True)
class _Work:
    task: asyncio.Task[Answer]
    asked_at: float = field(default_factory=monotonic)
    waiters: int = 0


class Orders:
    """The orders that run, and the latest answers.

    Args:
        lease_s: seconds after which an answer is dropped, and after which an order that nobody waits for any
            more is cancelled.
        most_running: orders at the same time; a further one gets the status 429.
        most_bytes: the sum of the answers that are kept.
    """

    def __init__(self, *, lease_s: float, most_running: int = 10_000, most_bytes: int = 256 << 20) -> None:
        self._lease_s = lease_s
        self._most_running = most_running
        self._most_bytes = most_bytes
        self._works: OrderedDict[str, _Work] = OrderedDict()
        self._running = 0
        self._past: OrderedDict[str, None] = OrderedDict()
        """Keys whose answers are dropped: these orders must not be carried out again."""

    async def answer(self, key: str, work: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer | None:
        """The answer to an order that is new or was sent before; None if there is none yet.

        Raises:
            SandboxUnreachable: the answer is dropped.
            HTTPException: 429, too many orders run.
        """
        if key in self._past:
            raise SandboxUnreachable("the answer to this order is no longer kept")
        if key not in self._works:
            if self._running >= self._most_running:
                raise HTTPException(429, "too many orders are running", headers={"retry-after": "1"})
            task = asyncio.create_task(_carry_out(work))
            task.add_done_callback(self._note_end)
            self._works[key] = _Work(task)
            self._running += 1
        return await self.repeat(key)

    async def repeat(self, key: str) -> Answer | None:
        """The answer to an order that was sent before; None if there is none yet.

        Raises:
            SandboxUnreachable: there is no such order.
        """
        work = self._works.get(key)
        if work is None:
            raise SandboxUnreachable("there is no such order: the server was started again, or dropped it")
        work.waiters += 1
        try:
            await asyncio.wait([work.task], timeout=min(_PATIENCE_S, self._lease_s / 3))
        finally:
            work.waiters -= 1
            work.asked_at = monotonic()
        if not work.task.done():
            return None
        if work.task.cancelled():
            raise SandboxUnreachable("the order was cancelled")
        return work.task.result()

    def cancel(self, key: str) -> None:
        """Cancel an order if it still runs. One that arrives later is refused."""
        work = self._works.get(key)
        if work is None:
            self._forget(key)
        else:
            work.task.cancel()

    def sweep(self) -> None:
        """Cancel orders that nobody waits for, and drop old answers."""
        limit = monotonic() - self._lease_s
        kept = 0
        for key, work in reversed(list(self._works.items())):
            is_old = not work.waiters and work.asked_at < limit
            if not work.task.done():
                if is_old:
                    work.task.cancel()
                continue
            kept += _size(work.task)
            if is_old or kept > self._most_bytes:
                del self._works[key]
                self._forget(key)

    async def aclose(self) -> None:
        """Cancel every order."""
        tasks = [work.task for work in self._works.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _note_end(self, _: asyncio.Task[Answer]) -> None:
        self._running -= 1

    def _forget(self, key: str) -> None:
        self._past[key] = None
        if len(self._past) > _REMEMBERED:
            self._past.popitem(last=False)


async def _carry_out(work: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
    try:
        return await work()
    except Exception as error:
        return answer_of_error(error)


def answer_of_error(error: BaseException) -> Answer:
    """The refusal with an error of a sandbox.

    Raises:
        BaseException: the error itself if it is another one.
    """
    refusal = Refusal.of(error)
    if refusal is None:
        raise error
    return Answer(REFUSED, encode(refusal))


def _size(task: asyncio.Task[Answer]) -> int:
    """The bytes of the answer of a task that has ended."""
    return 0 if task.cancelled() or task.exception() else len(task.result().content)


_PATIENCE_S: Final = 20.0
"""Seconds after which a client is told to ask again, so that no connection is silent for long."""
_REMEMBERED: Final = 100_000
