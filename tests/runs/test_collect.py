"""The collector: whatever goes wrong inside one rollout stays inside it, and every row ends exactly once."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from nemo_gym import Agent, Environment, Model, Response, Rollout, Session, ask
from nemo_gym.agents.tool_loop import ToolLoop
from nemo_gym.environments.link import EnvironmentLink, LocalEnvironment
from nemo_gym.runs.collect import Collector, NextRow, attempt
from nemo_gym.runs.limiter import Fixed, Limiter
from nemo_gym.support.time_limit import TimeLimit
from nemo_gym.wire.errors import ModelDenied, ModelError, RolloutError, TaskUnfit
from nemo_gym.wire.items import assistant, message_text
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.task import Row
from tests.support.virtual_time import run_virtual


class Watched(Environment):
    """Counts its sessions; every rollout is worth one."""

    def __init__(self) -> None:
        super().__init__()
        self.seeded = 0
        self.closed = 0

    def seed(self, task: Any, session: Session) -> None:
        self.seeded += 1

    def verify(self, task: Any, response: Response, session: Session) -> float:
        return 1.0

    async def close(self, session: Session) -> None:
        self.closed += 1
        await asyncio.sleep(0)


class Obedient(Model):
    """Does what the last message says, and counts how many calls are in flight."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.most_in_flight = 0
        self.waiting = asyncio.Event()
        self.release = asyncio.Event()

    async def responses(self, params: RequestParams) -> Response:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            for _ in range(5):
                await asyncio.sleep(0)
            return await self._obey(message_text(params["input"][-1]))  # type: ignore[arg-type, index]
        finally:
            self.in_flight -= 1

    async def _obey(self, order: str) -> Response:
        match order:
            case "fail":
                raise ModelError("the endpoint is on fire")
            case "deny":
                raise ModelDenied("wrong key", http_status=401, body="no")
            case "raise":
                raise ZeroDivisionError("seven")
            case "time out":
                raise TimeoutError("by itself")
            case "wait":
                self.waiting.set()
                await self.release.wait()
        return Response.of([assistant(order)])


def rows(*orders: str) -> list[Row]:
    return [
        {"responses_create_params": ask(order), "_ng_task_index": index, "_ng_rollout_index": 0}
        for index, order in enumerate(orders)
    ]


def source(given: list[Row]) -> NextRow:
    left = iter(given)

    async def next_row() -> Row | None:
        return next(left, None)

    return next_row


class Stage:
    """A collector over watched parts, with everything it gave to its sink."""

    def __init__(
        self,
        environment: Environment | None = None,
        *,
        agent: Agent | None = None,
        limiter: Limiter | None = None,
        rollout_timeout: float | None = None,
    ) -> None:
        self.environment = environment or Watched()
        self.link = LocalEnvironment(self.environment)
        self.model = Obedient()
        self.ended: list[Rollout] = []
        self.collector = Collector(
            agent or ToolLoop(),
            self.link,
            self.model,
            limiter=limiter or Fixed(4),
            rollout_timeout=rollout_timeout,
        )

    async def run(self, *orders: str) -> list[Rollout]:
        await self.collector.run(source(rows(*orders)), self.ended.append)
        return self.ended

    def classes(self) -> Counter[str]:
        return Counter(each.failure.failure_class if each.failure else "scored" for each in self.ended)


async def test_every_row_ends_exactly_once_scored_or_failed() -> None:
    stage = Stage()

    await stage.run(*["say", "fail", "raise", "deny"] * 25)

    assert Counter(rollout.task_index for rollout in stage.ended) == dict.fromkeys(range(100), 1)
    assert stage.classes() == {"scored": 25, "model_error": 25, "run_error": 25, "model_denied": 25}
    assert all((rollout.reward is None) == (rollout.failure is not None) for rollout in stage.ended)
    assert stage.link.open_sessions == 0


async def test_no_rows_end_at_once() -> None:
    assert await Stage().run() == []


async def test_a_collector_can_be_used_again() -> None:
    stage = Stage()

    await stage.run("a", "b")
    await stage.run("c")

    assert len(stage.ended) == 3


async def test_an_unexpected_exception_names_its_kind_and_place() -> None:
    (rollout,) = await Stage().run("raise")

    assert type(rollout.failure) is RolloutError
    assert re.fullmatch(r"ZeroDivisionError: seven \(.*test_collect\.py:\d+\)", str(rollout.failure))


async def test_an_agent_that_breaks_is_a_failure_of_its_rollout() -> None:
    class Broken(Agent):
        async def run(self, row: Row, environment: EnvironmentLink, model: Model) -> Rollout:
            return {}["nothing"]

    (rollout,) = await Stage(agent=Broken()).run("a")

    assert re.fullmatch(r"KeyError: 'nothing' \(.*test_collect\.py:\d+\)", str(rollout.failure))


def test_a_rollout_past_its_deadline_fails_and_the_others_go_on() -> None:
    stage = Stage(rollout_timeout=60.0)

    run_virtual(stage.run("say", "wait", "say"))

    assert stage.classes() == {"scored": 2, "rollout_timeout": 1}
    late = next(rollout for rollout in stage.ended if rollout.failure)
    assert str(late.failure) == "not finished within 60 seconds"
    assert isinstance(stage.environment, Watched)
    assert stage.environment.closed == 3


async def test_a_time_out_from_elsewhere_is_not_taken_for_the_deadline() -> None:
    class Impatient(Agent):
        async def run(self, row: Row, environment: EnvironmentLink, model: Model) -> Rollout:
            raise TimeoutError("the pump")

    (rollout,) = await Stage(agent=Impatient(), rollout_timeout=60.0).run("a")

    assert rollout.failure is not None
    assert rollout.failure.failure_class == "run_error"
    assert str(rollout.failure).startswith("TimeoutError: the pump (")


async def test_how_long_it_took_is_kept_whatever_the_end() -> None:
    scored, failed = await Stage(limiter=Fixed(1)).run("say", "fail")

    for rollout in (scored, failed):
        assert rollout.timing["started_at"] > 0
        assert rollout.timing["total_s"] >= 0
    assert scored.timing["model_calls"] == 1


async def test_what_a_failed_rollout_had_done_is_kept() -> None:
    (rollout,) = await Stage().run("fail")

    assert rollout.response is not None
    assert rollout.outcome == "failed"


@pytest.mark.parametrize("limit", [1, 3])
async def test_no_more_rollouts_are_in_flight_than_the_limiter_allows(limit: int) -> None:
    stage = Stage(limiter=Fixed(limit))

    await stage.run(*["say"] * 20)

    assert stage.model.most_in_flight == limit
    assert len(stage.ended) == 20


class Settable:
    """A limiter that does what the test says; the limit may change whenever a rollout ends."""

    def __init__(self, limit: int, then: Callable[[int], int]) -> None:
        self.limit = limit
        self._then = then
        self._ended = 0

    def finished(self, seconds: float) -> None:
        self._ended += 1
        self.limit = self._then(self._ended)


async def test_a_growing_limit_is_used() -> None:
    stage = Stage(limiter=Settable(1, lambda ended: 8))

    await stage.run(*["say"] * 30)

    assert stage.model.most_in_flight == 8
    assert len(stage.ended) == 30


async def test_a_shrinking_limit_is_respected_as_rollouts_end() -> None:
    stage = Stage(limiter=Settable(8, lambda ended: 2))
    in_flight: list[int] = []
    left = iter(rows(*["say"] * 30))

    async def next_row() -> Row | None:
        in_flight.append(stage.model.in_flight)
        return next(left, None)

    await stage.collector.run(next_row, stage.ended.append)

    assert len(stage.ended) == 30
    assert stage.model.most_in_flight == 8
    assert max(in_flight[-15:]) <= 2


async def test_a_limit_that_falls_to_one_and_rises_again_leaves_nothing_behind() -> None:
    stage = Stage(limiter=Settable(5, lambda ended: 1 if ended % 7 else 6))

    await stage.run(*["say", "fail"] * 40)

    assert len(stage.ended) == 80


def waiting(stage: Stage, *orders: str) -> Awaitable[asyncio.Task[None]]:
    async def started() -> asyncio.Task[None]:
        task = asyncio.create_task(stage.collector.run(source(rows(*orders)), stage.ended.append))
        await stage.model.waiting.wait()
        return task

    return started()


async def test_cancelling_drops_what_is_in_flight_and_closes_its_sessions() -> None:
    stage = Stage()
    task = await waiting(stage, *["wait"] * 10)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert stage.ended == []
    assert isinstance(stage.environment, Watched)
    assert stage.environment.seeded == stage.environment.closed == 4
    assert stage.link.open_sessions == 0


async def test_cancelling_ends_the_run_even_when_closing_raises() -> None:
    class Unclosable(Watched):
        async def close(self, session: Session) -> None:
            self.closed += 1
            raise OSError("stuck")

    stage = Stage(Unclosable(), limiter=Fixed(1))
    task = await waiting(stage, "wait", "say", "say", "say")

    task.cancel()
    await asyncio.wait({task})

    assert task.cancelled()
    assert isinstance(stage.environment, Watched)
    assert stage.environment.seeded == 1


async def test_a_sink_that_raises_ends_the_run_with_its_own_error() -> None:
    stage = Stage()

    def full(rollout: Rollout) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await stage.collector.run(source(rows("say", "wait", "wait")), full)

    assert stage.link.open_sessions == 0


async def test_a_source_that_raises_ends_the_run_with_its_own_error() -> None:
    stage = Stage()

    async def next_row() -> Row | None:
        raise OSError("plan is gone")

    with pytest.raises(OSError, match="plan is gone"):
        await stage.collector.run(next_row, stage.ended.append)


class Unfit(Watched):
    """Refuses every row in its own words."""

    def seed(self, task: Any, session: Session) -> None:
        raise TaskUnfit("this row has no answer")


async def test_rows_that_an_environment_refuses_end_as_failures() -> None:
    (row,) = rows("answer")
    rollout = await attempt(ToolLoop(), row, LocalEnvironment(Unfit()), Obedient(), limit=TimeLimit(None))
    assert isinstance(rollout.failure, TaskUnfit)
