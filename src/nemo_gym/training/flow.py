"""Groups for training steps: more are started than a step needs, so a slow task holds up no step."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, cast, runtime_checkable

from nemo_gym.training.collected import CollectedRollout
from nemo_gym.wire.errors import GymError, RolloutError, UsageError

Task = TypeVar("Task")
Collect = Callable[[Task], Awaitable[list[CollectedRollout]]]
"""Collects all repeats of a task, for instance `lambda task: rollouts.collect([task], repeats=8)`."""
Filter = Callable[[Sequence[CollectedRollout]], str | None]
"""Why a group is left out, or None."""


class GroupsFailed(GymError):
    """As many groups in a row as run at the same time have failed, and a filter has left them out."""


Observed = TypeVar("Observed", contravariant=True)


@runtime_checkable
class Observes(Protocol[Observed]):
    """A source of tasks that learns from the groups of its tasks, such as `Curriculum`."""

    def observe(self, task: Observed, rollouts: Sequence[CollectedRollout]) -> None:
        """Learn from a group."""
        ...


@dataclass(slots=True)
class Group(Generic[Task]):
    """All repeats of a task."""

    number: int
    """Groups are numbered in the order in which they were started."""
    task: Task
    step: int
    """The step in which it was first started, from 1."""
    rollouts: list[CollectedRollout] = field(default_factory=list[CollectedRollout])

    @property
    def oldest_version(self) -> int | None:
        """The oldest policy version among the tokens that are trained on; None where no version is known."""
        known = [
            int(sequence.versions[sequence.loss_mask].min())
            for rollout in self.rollouts
            for sequence in rollout.sequences
            if sequence.mask is None and sequence.loss_mask.any()
        ]
        return min((version for version in known if version >= 0), default=None)


class GroupFlow(Generic[Task]):
    """Gives each training step its groups, and keeps the others running.

    Groups that are not ready when a step has enough are not lost: they run on, and the oldest ones that are
    ready come first in the next step. No step ends before the groups that were started more than `max_age`
    steps ago, so slow and hard tasks come as often as they were started.

    Args:
        collect: collects a group.
        tasks: the tasks in their order, for instance an endless iterator. One that `Observes` gets every
            group that was collected.
        in_flight: groups that run or are ready at the same time; at least as many as a step takes.
        filters: the first reason that one gives leaves a group out; `counts` has the number of each reason.
        max_age: how many steps later than it was started a group may be waited for.
        max_staleness: a group with tokens of a version that is older than the current one by more than this
            is collected again, and waited for as if it were the first time; None takes any.
        version: the current policy version.
        source: the name of a task's source, for `summary` and `sources`.
        first: tasks that come before the others, such as the `pending` ones of an earlier flow.
    """

    def __init__(
        self,
        collect: Collect[Task],
        tasks: Iterable[Task],
        *,
        in_flight: int,
        filters: Sequence[Filter] = (),
        max_age: int = 1,
        max_staleness: int | None = None,
        version: Callable[[], int] = lambda: 0,
        source: Callable[[Task], str] | None = None,
        first: Iterable[Task] = (),
    ) -> None:
        if in_flight < 1 or max_age < 0:
            raise UsageError("GroupFlow: in_flight must be at least 1, and max_age at least 0")
        self._collect = collect
        self._tasks = iter(tasks)
        self._observer = cast("Observes[Task]", tasks) if isinstance(tasks, Observes) else None
        self._source = source
        self._again: deque[tuple[Task, int | None]] = deque((task, None) for task in first)
        """Tasks that come before the others, with the step in which they were first started."""
        self._in_flight = in_flight
        self._filters = filters
        self._max_age = max_age
        self._max_staleness = max_staleness
        self._version = version
        self._running: dict[asyncio.Task[list[CollectedRollout]], Group[Task]] = {}
        self._ready: list[Group[Task]] = []
        self._step = 0
        self._started = 0
        self._failed_in_a_row = 0
        self.counts: Counter[str] = Counter()
        """Groups that were `delivered`, and those that were left out by the reason, collected again
        (`stale`), `cancelled`, or ended by an error of `collect` (`failed`)."""
        self.sources: Counter[str] = Counter()
        """Groups that were delivered, by their source."""

    async def take(self, count: int) -> list[Group[Task]]:
        """The next `count` groups, the oldest first; fewer when the tasks end.

        Raises:
            GroupsFailed: as many groups as `in_flight` have failed in a row, and a filter leaves them out.
            BaseException: the first error of `collect`.
        """
        self._step += 1
        ready, self._ready = self._ready, []
        for group in ready:
            self._add_ready(group)
        while True:
            self._start(max(self._in_flight, count))
            old = any(self._step - group.step > self._max_age for group in self._running.values())
            if (len(self._ready) >= count and not old) or not self._running:
                break
            done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            for work in done:
                group = self._running.pop(work)
                try:
                    group.rollouts = work.result()
                except BaseException:
                    self.counts["failed"] += 1
                    self._again.append((group.task, group.step))
                    raise
                self._keep(group)
        self._ready.sort(key=_age)
        groups, self._ready = self._ready[:count], self._ready[count:]
        self.counts["delivered"] += len(groups)
        if self._source is not None:
            self.sources.update(self._source(group.task) for group in groups)
        return groups

    @property
    def pending(self) -> list[Task]:
        """The tasks that were drawn and whose groups were neither delivered nor left out, the oldest first. A
        flow that goes on elsewhere gets them as `first`."""
        groups = sorted([*self._running.values(), *self._ready], key=_age)
        return [*(group.task for group in groups), *(task for task, _ in self._again)]

    def summary(self) -> str:
        """A line for a log: the groups that were started, and what became of them.

        `started` is the sum of those that are delivered, left out, stale, cancelled, failed, waiting and
        running.
        Waiting ones are ready for a step; deferred ones were started in an earlier step than the last one and
        still wait or run.
        """
        counts, started = self.counts, self._started
        delivered = counts["delivered"]
        left_out = {name: n for name, n in sorted(counts.items()) if name not in _OTHER_COUNTS and n}
        deferred = [one for one in (*self._running.values(), *self._ready) if one.step < self._step]
        per_group = f" ({started / delivered:.2f} for each delivered)" if delivered else ""
        shares = [f"{name} {100 * n / delivered:.1f} %" for name, n in sorted(self.sources.items())]
        parts = [
            f"started {started}{per_group}",
            f"delivered {delivered}{_listed(shares)}",
            f"left out {sum(left_out.values())}{_listed([f'{name} {n}' for name, n in left_out.items()])}",
            *(f"{name} {counts[name]}" for name in ("stale", "cancelled", "failed") if counts[name]),
            f"waiting {len(self._ready)}",
            f"running {len(self._running)}",
            f"deferred {len(deferred)}",
        ]
        return f"step {self._step}: {', '.join(parts)}"

    async def aclose(self) -> None:
        """Cancel what still runs; it is still `pending`."""
        running, self._running = self._running, {}
        if running:
            self.counts["cancelled"] += len(running)
            self._again.extend((group.task, group.step) for group in running.values())
        for work in running:
            work.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _start(self, most: int) -> None:
        for task, step in self._next_tasks(most):
            self._started += 1
            group = Group(self._started, task, step or self._step)
            self._running[asyncio.create_task(self._collected(task))] = group

    async def _collected(self, task: Task) -> list[CollectedRollout]:
        return await self._collect(task)

    def _next_tasks(self, most: int) -> Iterator[tuple[Task, int | None]]:
        while len(self._running) + len(self._ready) < most:
            if self._again:
                yield self._again.popleft()
                continue
            try:
                yield next(self._tasks), None
            except StopIteration:
                return

    def _keep(self, group: Group[Task]) -> None:
        if self._observer is not None:
            self._observer.observe(group.task, group.rollouts)
        if (reason := next(filter(None, (one(group.rollouts) for one in self._filters)), None)) is not None:
            self.counts[reason] += 1
            self._note_failures([rollout.failure for rollout in group.rollouts])
            return
        self._failed_in_a_row = 0
        self._add_ready(group)

    def _note_failures(self, failures: Sequence[RolloutError | None]) -> None:
        """Count groups that have failed as a whole, which would otherwise be replaced without end."""
        last = next(iter(failures), None)
        if last is None or not all(failures):
            self._failed_in_a_row = 0
            return
        self._failed_in_a_row += 1
        if self._failed_in_a_row >= self._in_flight:
            count, self._failed_in_a_row = self._failed_in_a_row, 0
            raise GroupsFailed(f"{count} groups in a row have failed, the last one with: {last}") from last

    def _add_ready(self, group: Group[Task]) -> None:
        """Let a group wait for a step, unless it is stale."""
        oldest = group.oldest_version if self._max_staleness is not None else None
        if oldest is not None and self._version() - oldest > (self._max_staleness or 0):
            self.counts["stale"] += 1
            self._again.append((group.task, group.step))
            return
        self._ready.append(group)


def _age(group: Group[Any]) -> tuple[int, int]:
    """The oldest groups first, also those that are collected again."""
    return group.step, group.number


_OTHER_COUNTS = frozenset({"delivered", "stale", "cancelled", "failed"})
"""The counts that are not of groups that were left out."""


def _listed(parts: Sequence[str]) -> str:
    return f" ({', '.join(parts)})" if parts else ""


def zero_variance(group: Sequence[CollectedRollout]) -> str | None:
    """Leave out groups whose rewards are all equal: their advantages are 0."""
    rewards = {rollout.reward for rollout in group if rollout.reward is not None}
    return "zero_variance" if len(rewards) < 2 else None


def all_truncated(group: Sequence[CollectedRollout]) -> str | None:
    """Leave out groups of which every rollout was cut off by a limit."""
    return "all_truncated" if all(rollout.sequences[0].truncated for rollout in group) else None


def untrainable(group: Sequence[CollectedRollout]) -> str | None:
    """Leave out groups without a rollout that may be trained on."""
    return "untrainable" if all(rollout.untrainable for rollout in group) else None


def longer_than(tokens: int) -> Filter:
    """Leave out groups with a sequence of more than so many tokens."""

    def over_long(group: Sequence[CollectedRollout]) -> str | None:
        return "over_long" if any(len(rollout.sequences[0]) > tokens for rollout in group) else None

    return over_long
