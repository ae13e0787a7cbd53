"""Cohorts: rollouts of one task that are judged together, such as its repeats."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from nemo_gym.wire.errors import JudgeFailed

M = TypeVar("M")
V = TypeVar("V")


class Cohorts(Generic[M, V]):
    """Lets members of a cohort wait for one another until it is complete or its time is over.

    Those that wait at the deadline are judged without the missing ones. A member whose rollout is cancelled
    leaves its cohort. An exception of `judge` reaches every member.

    Args:
        size: how many members make a cohort complete.
        smallest: the fewest members that can be judged; fewer are a failure.
        timeout: seconds from the first member to the deadline.
        judge: the verdicts about members, in their order.
    """

    def __init__(
        self, size: int, smallest: int, timeout: float, judge: Callable[[list[M]], Awaitable[list[V]]]
    ) -> None:
        self._size = size
        self._smallest = smallest
        self._timeout = timeout
        self._judge = judge
        self._open: dict[Hashable, _Cohort[M, V]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def join(self, key: Hashable, member: M) -> V:
        """Join the open cohort of a key, and wait for the verdict.

        Raises:
            JudgeFailed: the deadline came with too few members.
        """
        loop = asyncio.get_running_loop()
        cohort = self._open.get(key)
        if cohort is None:
            cohort = self._open[key] = _Cohort()
            cohort.timer = loop.call_later(self._timeout, self._end, key)
        place: asyncio.Future[V] = loop.create_future()
        cohort.members.append((member, place))
        if len(cohort.members) >= self._size:
            self._end(key)
        try:
            return await place
        finally:
            if self._open.get(key) is cohort:
                cohort.members = [one for one in cohort.members if one[1] is not place]
                if not cohort.members:
                    self._open.pop(key).stop()

    async def aclose(self) -> None:
        """Cancel every wait and every judgement."""
        for cohort in self._open.values():
            cohort.stop()
            for _, place in cohort.members:
                place.cancel()
        self._open.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _end(self, key: Hashable) -> None:
        cohort = self._open.pop(key)
        cohort.stop()
        if len(cohort.members) < self._smallest:
            for _, place in cohort.members:
                place.set_exception(
                    JudgeFailed(
                        f"{len(cohort.members)} of {self._size} rollouts of the task came within "
                        f"{self._timeout:g} seconds, and at least {self._smallest} are compared"
                    )
                )
            return
        task = asyncio.create_task(self._settle(cohort.members))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle(self, members: list[tuple[M, asyncio.Future[V]]]) -> None:
        try:
            verdicts = await self._judge([member for member, _ in members])
            for (_, place), verdict in zip(members, verdicts, strict=True):
                if not place.done():
                    place.set_result(verdict)
        except BaseException as error:
            for _, place in members:
                if not place.done():
                    place.cancel() if isinstance(error, asyncio.CancelledError) else place.set_exception(
                        error
                    )
            if not isinstance(error, Exception):
                raise


class _Cohort(Generic[M, V]):
    def __init__(self) -> None:
        self.members: list[tuple[M, asyncio.Future[V]]] = []
        self.timer: asyncio.TimerHandle | None = None

    def stop(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
