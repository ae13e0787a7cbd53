"""`@blocking`: hooks, tools and functions in threads, which end with whoever runs the environment."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from pathlib import Path
from typing import Any

import pytest

from nemo_gym import (
    Environment,
    Response,
    Rollout,
    Session,
    Step,
    StepEnvironment,
    Task,
    ask,
    blocking,
    collect,
    tool,
)
from nemo_gym.environments import blocking_hooks as module
from nemo_gym.environments.conformance.check import check_environment
from nemo_gym.environments.function import environment_of
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.wire.errors import EnvironmentFault, RolloutTimeout, UsageError, VerifierFault
from nemo_gym.wire.items import assistant, function_call
from tests.support.virtual_time import pass_time

PATIENCE_S = 60.0
ROW: dict[str, Any] = {"responses_create_params": ask("Go.")}
ANSWER = Response.of([assistant("fine")])
VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


class Meeting(Environment):
    """Passes when four verifiers run at the same time."""

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.barrier = threading.Barrier(4)

    @blocking
    def verify(self, task: Task, response: Response, session: Session) -> float:
        self.barrier.wait(PATIENCE_S)
        return 1.0


class Stuck(Environment):
    """Its verifier blocks until it is let go."""

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.go = threading.Event()
        self.begun = threading.Event()
        self.loop = asyncio.get_running_loop()

    @blocking
    def verify(self, task: Task, response: Response, session: Session) -> float:
        self.begun.set()
        self.loop.call_soon_threadsafe(pass_time, session.row.get("seconds", 0))
        self.go.wait(PATIENCE_S)
        return 1.0


def own_threads(environment: Environment) -> list[str]:
    prefix = f"{environment.name()}_"
    return [one.name for one in threading.enumerate() if one.name.startswith(prefix)]


def say(_: object) -> str:
    return "fine"


async def test_four_verifiers_overlap_and_leave_no_thread() -> None:
    environment = Meeting()
    rows = [dict(ROW) for _ in range(8)]
    rollouts = [one async for one in collect(environment, ScriptedModel(say), rows, concurrency=4)]
    assert [rollout.reward for rollout in rollouts] == [1.0] * 8
    assert own_threads(environment) == []
    again = [one async for one in collect(environment, ScriptedModel(say), rows[:4], concurrency=4)]
    assert [rollout.reward for rollout in again] == [1.0] * 4


async def test_every_sync_hook_and_tool_can_be_blocking() -> None:
    here = threading.get_ident()
    idents: dict[str, int] = {}

    class Busy(Environment):
        @blocking
        def seed(self, task: Task, session: Session) -> None:
            idents["seed"] = threading.get_ident()
            session.state["word"] = VARIABLE.get()

        @tool
        @blocking
        def look(self, session: Session, count: int) -> str:
            """Look."""
            idents["look"] = threading.get_ident()
            return session.state["word"] * count

        @blocking
        @tool
        def stare(self, count: int) -> int:
            """Stare."""
            idents["stare"] = threading.get_ident()
            return count

        @blocking
        def verify(self, task: Task, response: Response, session: Session) -> dict[str, float]:
            idents["verify"] = threading.get_ident()
            return {"said": float(response.final_text == "fine")}

        @blocking
        def close(self, session: Session) -> None:
            idents["close"] = threading.get_ident()

    VARIABLE.set("set")
    link = LocalEnvironment(Busy())
    assert [schema["name"] for schema in link.tools] == ["look", "stare"]
    async with link.session(ROW) as session:
        call = function_call("look", '{"count": 2}', call_id="c")
        assert await link.call(session, call) == "setset"
        assert await link.call(session, function_call("stare", '{"count": 2}', call_id="c")) == "2"
        assert "Invalid arguments" in await link.call(session, function_call("look", "{}", call_id="c"))
        assert (await link.verify(session, ANSWER)).components == {"said": 1.0}
    assert idents.keys() == {"seed", "look", "stare", "verify", "close"}
    assert here not in idents.values()
    await link.aclose()
    assert own_threads(link.environment) == []


async def test_steps_can_be_blocking() -> None:
    class Climb(StepEnvironment):
        @blocking
        def reset(self, task: Task, session: Session) -> str:
            return "up?"

        @blocking
        def step(self, action: Response, session: Session) -> Step:
            return Step("there", reward=1.0, terminated=True)

    [rollout] = [one async for one in collect(Climb(), ScriptedModel(say), [ROW])]
    assert rollout.reward == 1.0


@blocking
def score(text: str, session: Session) -> float:
    session.state["thread"] = threading.current_thread().name
    return float(text == "fine")


async def test_a_function_can_be_blocking() -> None:
    link = LocalEnvironment(environment_of(score)())
    async with link.session(ROW) as session:
        assert (await link.verify(session, ANSWER)).value == 1.0
        assert session.state["thread"].startswith("score_")
    await link.aclose()


async def test_what_it_raises_keeps_its_place() -> None:
    class Broken(Environment):
        @blocking
        def seed(self, task: Task, session: Session) -> None:
            if session.row.get("breaks") == "seed":
                raise LookupError("no seed")

        @blocking
        def verify(self, task: Task, response: Response, session: Session) -> float:
            if session.row.get("breaks") == "stop":
                raise StopIteration("enough")
            if session.row.get("breaks") == "exit":
                raise SystemExit(3)
            return 1 / 0

    lines = Path(__file__).read_text().splitlines()

    def place(text: str) -> str:
        return f"({__file__}:{next(n for n, line in enumerate(lines, 1) if line.strip() == text)})"

    link = LocalEnvironment(Broken())
    for breaks, words, text in (
        ("", "verify raised ZeroDivisionError: division by zero", "return 1 / 0"),
        ("stop", "verify raised RuntimeError: verify raised StopIteration", 'raise StopIteration("enough")'),
        ("exit", "verify raised SystemExit: 3", "raise SystemExit(3)"),
    ):
        async with link.session({**ROW, "breaks": breaks}) as session:
            with pytest.raises(VerifierFault) as caught:
                await link.verify(session, ANSWER)
            assert str(caught.value) == f"{words} {place(text)}"
    with pytest.raises(EnvironmentFault, match="seed raised LookupError: no seed") as failed:
        await link.open({**ROW, "breaks": "seed"})
    assert place('raise LookupError("no seed")') in str(failed.value)
    await link.aclose()


async def test_a_rollout_that_runs_out_of_time_fails_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "LAST_S", 0.01)
    environment = Stuck()
    rows = [{**ROW, "seconds": 60} for _ in range(3)]
    model = ScriptedModel(say)
    rollouts = [one async for one in collect(environment, model, rows, concurrency=1, rollout_timeout=60)]
    assert [type(one.failure) for one in rollouts] == [RolloutTimeout] * 3
    assert all(one.reward is None for one in rollouts)
    assert "stuck: 3 blocking calls still run after 0.01 s; their results are dropped" in caplog.text
    environment.go.set()


async def test_a_collection_that_is_cancelled_ends_with_its_threads() -> None:
    environment = Stuck()

    async def run() -> list[Rollout]:
        return [one async for one in collect(environment, ScriptedModel(say), [ROW])]

    running = asyncio.create_task(run())
    while not environment.begun.is_set():
        await asyncio.sleep(0.001)
    running.cancel()
    environment.go.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert own_threads(environment) == []


def test_an_async_method_is_refused_where_it_is_written() -> None:
    with pytest.raises(UsageError) as caught:

        class _(Environment):
            @blocking
            async def verify(self, task: Task, response: Response, session: Session) -> float:
                return 1.0

    assert str(caught.value).startswith(f"{__file__}:")
    assert "verify is async: drop @blocking, or make it a plain `def`" in str(caught.value)


async def test_the_check_names_the_way_out_of_a_slow_verifier() -> None:
    class Slow(Environment):
        def tasks(self, split: str, seed: int, n: int | None) -> list[Task]:
            return [Task(responses_create_params=dict(ask("Go.")))]

        def oracle(self, task: Task, session: Session) -> str:
            return "fine"

        def verify(self, task: Task, response: Response, session: Session) -> float:
            if "\0" in response.final_text:
                threading.Event().wait(0.6)
            return 1.0

    class Blocking(Slow):
        verify = blocking(Slow.verify)  # type: ignore[assignment]

    results = {}
    for kind in (Slow, Blocking):
        report = await check_environment(kind, tasks=1)
        results[kind] = next(one for one in report.results if one.name == "event_loop")
    assert not results[Slow].passed
    assert "mark a sync method with @blocking" in results[Slow].message
    assert results[Blocking].passed, results[Blocking].message
