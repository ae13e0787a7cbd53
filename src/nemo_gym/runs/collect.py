"""The collector: the only place that knows about concurrency, deadlines and cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from time import monotonic, time
from typing import cast

from nemo_gym.agents.base import Agent
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.environments.resources import Resources
from nemo_gym.environments.reward_terms import RewardTerms
from nemo_gym.models.base import Model
from nemo_gym.runs.limiter import Limiter
from nemo_gym.runs.tool_counts import count_tools
from nemo_gym.stats.reward_scale import UNKNOWN_SCALE, RewardScale
from nemo_gym.support.time_limit import TimeLimit
from nemo_gym.wire.errors import RolloutError, RolloutTimeout
from nemo_gym.wire.exception_text import is_fault, is_of_group, message_of, origin, short_traceback
from nemo_gym.wire.rollout import Rollout, Timing, take_partial
from nemo_gym.wire.task import Row

NextRow = Callable[[], Awaitable[Row | None]]
"""Returns the next row to run, or None when there are no more; may wait."""

Sink = Callable[[Rollout], None]
"""Takes a rollout that has ended, scored or failed."""


class Collector:
    """Runs rollouts in this event loop, as many at a time as the limiter allows.

    An error inside a rollout becomes the failure of that rollout; the others go on.
    """

    def __init__(
        self,
        agent: Agent,
        environment: EnvironmentLink,
        model: Model,
        *,
        limiter: Limiter,
        rollout_timeout: float | None = None,
        resources: Resources | None = None,
        terms: RewardTerms | None = None,
        scale: RewardScale = UNKNOWN_SCALE,
    ) -> None:
        self.agent = agent
        self._environment = environment
        self.model = model
        self._limiter = limiter
        self._resources = resources or Resources()
        self._limit = TimeLimit(rollout_timeout)
        self._terms = terms
        self._scale = scale
        self._has_reward = False
        self._flights: dict[int, Flight] = {}
        self._active = 0
        self._exhausted = False
        self._broken = False

    async def check(self) -> None:
        """Check, before any rollout, that the servers which all of them need can be reached.

        Raises:
            GymError: one can't be reached.
        """
        await self.agent.check()
        await self.model.check()
        await self._resources.check()

    async def aclose(self, *, keep: Sequence[object] = ()) -> None:
        """Close the agent, the environment and the model, except those in `keep`."""
        async with AsyncExitStack() as stack:
            for part in (self.agent, self._environment, self.model):
                if not any(part is one for one in keep):
                    stack.push_async_callback(part.aclose)

    @property
    def limit(self) -> int:
        """How many rollouts may be in flight now."""
        return self._limiter.limit

    def drop(self, row: Row) -> None:
        """Cancel the rollout of this row object, if it is in flight: its session is closed, and it ends as a
        failure."""
        if (flight := self._flights.get(id(row))) is not None:
            flight.drop()

    def pause_deadlines(self) -> None:
        """Let the time of rollouts stand still, until `resume_deadlines`."""
        self._limit.pause()

    def resume_deadlines(self) -> None:
        """Let the time of rollouts count again."""
        self._limit.resume()

    async def run(self, next_row: NextRow, sink: Sink) -> None:
        """Run every row to its end. A cancellation drops the rollouts in flight and closes their sessions.

        An exception of `next_row` or `sink` ends the run and is raised here.
        """
        try:
            await self._run(next_row, sink)
        except ExceptionGroup as group:
            raise innermost(group) from None

    async def attempt(self, row: Row, agent: Agent) -> Rollout:
        """One rollout of another agent, beside those of `run` and not counted by the limiter. It has the same
        environment, time limit and reward terms."""
        rollout = await attempt(agent, row, self._environment, self.model, limit=self._limit)
        return rollout if self._terms is None else self._with_terms(rollout, self._terms)

    def _with_terms(self, rollout: Rollout, terms: RewardTerms) -> Rollout:
        is_first = not self._has_reward
        self._has_reward = self._has_reward or rollout.reward is not None
        return terms.apply(rollout, self._scale, is_first=is_first)

    async def _run(self, next_row: NextRow, sink: Sink) -> None:
        self._exhausted = self._broken = False
        parent = asyncio.current_task()
        assert parent is not None
        cancels = parent.cancelling()

        def is_ending() -> bool:
            return self._broken or parent.cancelling() > cancels

        async with asyncio.TaskGroup() as group:

            def start_workers() -> None:
                while self._active < self._limiter.limit and not self._exhausted:
                    self._active += 1
                    group.create_task(work())

            async def work() -> None:
                try:
                    while self._active <= self._limiter.limit and not is_ending():
                        row = await next_row()
                        if row is None:
                            self._exhausted = True
                            return
                        began = monotonic()
                        flight = self._flights[id(row)] = Flight()
                        try:
                            rollout = await attempt(
                                self.agent,
                                row,
                                self._environment,
                                self.model,
                                limit=self._limit,
                                is_ending=is_ending,
                                flight=flight,
                            )
                        finally:
                            del self._flights[id(row)]
                        sink(rollout if self._terms is None else self._with_terms(rollout, self._terms))
                        self._limiter.finished(monotonic() - began)
                        if self._active < self._limiter.limit:
                            start_workers()
                except BaseException:
                    self._broken = True
                    raise
                finally:
                    self._active -= 1

            start_workers()


@dataclass(slots=True)
class Flight:
    """A rollout in flight, which can be dropped."""

    timeout: asyncio.Timeout | None = None
    dropped: bool = False

    def drop(self) -> None:
        """Cancel the rollout."""
        if self.timeout is not None and not self.dropped and not self.timeout.expired():
            self.dropped = True
            self.timeout.reschedule(asyncio.get_running_loop().time())


async def attempt(
    agent: Agent,
    row: Row,
    environment: EnvironmentLink,
    model: Model,
    *,
    limit: TimeLimit,
    is_ending: Callable[[], bool] | None = None,
    flight: Flight | None = None,
) -> Rollout:
    """Run one rollout within its time. It ends scored or failed; only a cancellation raises.

    Args:
        limit: the time that it may take.
        is_ending: whether the run is ending, for a caller that knows.
        flight: lets the caller drop the rollout.
    """
    began, began_at = monotonic(), time()
    cancels = _Cancels(is_ending)
    timeout = limit.start()
    if flight is not None:
        flight.timeout = timeout
    try:
        async with timeout:
            rollout = await agent.run(row, environment, model)
        cancels.are_real(None)
        rollout.timing["total_s"] = monotonic() - began
        count_tools(rollout)
        return rollout
    except BaseException as error:
        if cancels.are_real(error):
            raise asyncio.CancelledError from None
        if not is_fault(error):
            raise
        if flight is not None and flight.dropped:
            failure = RolloutError("dropped: nobody waits for it any more")
        elif timeout.expired():
            failure = RolloutTimeout(f"not finished within {limit.seconds:g} seconds")
        else:
            failure = error if isinstance(error, RolloutError) else unexpected(error)
        partial = take_partial(error, row)
    finally:
        limit.end(timeout)
    timing: Timing = {"started_at": began_at, "total_s": monotonic() - began}
    rollout = Rollout.failed(
        partial.row, failure, partial=partial.response, details=partial.details, timing=timing
    )
    count_tools(rollout)
    return rollout


class _Cancels:
    """Finds out whether a cancellation of this task is meant, or left over from an author's
    `asyncio.TaskGroup`: before Python 3.13, a group that waits for its last tasks cancels its own task when
    one of them fails, and does not withdraw that. A later failure would look like a cancellation, and its
    rollout would be lost."""

    def __init__(self, is_ending: Callable[[], bool] | None) -> None:
        self._task = asyncio.current_task()
        self._before = self._task.cancelling() if self._task else 0
        self._is_ending = is_ending

    def are_real(self, error: BaseException | None) -> bool:
        """Whether the task is to end. Requests that a group left over are withdrawn."""
        if self._task is None or isinstance(error, KeyboardInterrupt):
            return False
        requests = self._task.cancelling() - self._before
        if requests <= 0:
            return False
        if self._is_ending() if self._is_ending else not is_of_group(error):
            return True
        for _ in range(requests):
            self._task.uncancel()
        return False


def innermost(error: Exception) -> Exception:
    """The first exception that isn't a group."""
    while isinstance(error, ExceptionGroup):
        error = cast("ExceptionGroup[Exception]", error).exceptions[0]
    return error


def unexpected(error: BaseException) -> RolloutError:
    """The failure for an exception of any other class, with the place in the code that raised it."""
    failure = RolloutError(f"{message_of(error)}{origin(error)}")
    failure.traceback = short_traceback(error)
    return failure
