"""How an agent holds an environment in its own process: sessions that are apart, and closed exactly once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from nemo_gym import (
    Environment,
    Observation,
    Response,
    Reward,
    Session,
    Step,
    StepEnvironment,
    Task,
    ask,
    tool,
)
from nemo_gym.environments import link as link_module
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.sandbox.errors import SandboxUnreachable
from nemo_gym.wire.errors import EnvironmentFault, JudgeFailed, ModelTimeout, TaskUnfit, VerifierFault
from nemo_gym.wire.items import assistant, function_call

ANSWER = Response.of([assistant("hello")])


def row(task: int = 0, repeat: int = 0, **fields: Any) -> dict[str, Any]:
    stamps = {"_ng_task_index": task, "_ng_rollout_index": repeat}
    return {"responses_create_params": ask("hi"), "expected": "hello", **stamps, **fields}


class Notes(Environment):
    """Keeps a list of words per session; breaks where it is told to."""

    class Task(Task):
        expected: str
        breaks: str = ""

    def __init__(self) -> None:
        super().__init__()
        self.closed: list[str] = []

    def _hook(self, name: str, task: Any) -> None:
        if task.breaks == name:
            raise LookupError(f"no {name} today")

    async def seed(self, task: Any, session: Session) -> None:
        session.state["words"] = []
        await asyncio.sleep(0)
        self._hook("seed", task)

    @tool
    async def remember(self, session: Session, word: str) -> int:
        await asyncio.sleep(0)
        session.state["words"].append(word)
        return len(session.state["words"])

    def verify(self, task: Any, response: Response, session: Session) -> Any:
        self._hook("verify", task)
        return {"right": float(response.final_text == task.expected), "words": len(session.state["words"])}

    def close(self, session: Session) -> None:
        self.closed.append(session.id)
        self._hook("close", session.task)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(link_module, "monotonic", clock)
    return clock


def remember(word: str) -> Any:
    return function_call("remember", json.dumps({"word": word}), call_id="c")


async def test_rollouts_side_by_side_share_nothing() -> None:
    link = LocalEnvironment(Notes())

    async def rollout(number: int) -> Reward:
        async with link.session(row(number)) as session:
            for turn in range(number):
                assert await link.call(session, remember(f"{number}-{turn}")) == str(turn + 1)
            assert session.state["words"] == [f"{number}-{turn}" for turn in range(number)]
            return await link.verify(session, ANSWER)

    rewards = await asyncio.gather(*(rollout(number) for number in range(20)))

    assert [reward.value for reward in rewards] == [1.0 + number for number in range(20)]
    assert rewards[3].components == {"right": 1.0, "words": 3.0}
    assert link.open_sessions == 0


async def numbers(seed: int, task: int, repeat: int) -> list[float]:
    link = LocalEnvironment(Notes(), seed=seed)
    async with link.session(row(task, repeat)) as session:
        return [session.rng.random() for _ in range(3)]


async def test_the_same_seed_task_and_repeat_give_the_same_random_numbers() -> None:
    assert await numbers(7, 1, 2) == await numbers(7, 1, 2)
    assert (await numbers(7, 1, 2))[0] == 0.12560880446678968, "in every process and version"


async def test_another_seed_task_or_repeat_gives_other_numbers() -> None:
    drawn = [await numbers(*which) for which in [(7, 1, 2), (8, 1, 2), (7, 2, 2), (7, 1, 1), (7, 12, 0)]]

    assert len({tuple(each) for each in drawn}) == 5


async def test_a_session_is_closed_once_however_its_block_ends() -> None:
    environment = Notes()
    link = LocalEnvironment(environment)

    async with link.session(row()) as fine:
        await link.close(fine)
        await link.close(fine)
    with pytest.raises(ModelTimeout):
        async with link.session(row()):
            raise ModelTimeout("too slow")
    with pytest.raises(EnvironmentFault, match="seed raised LookupError: no seed today"):
        async with link.session(row(breaks="seed")):
            pytest.fail("the block must not be entered")
    with pytest.raises(VerifierFault, match="verify raised LookupError: no verify today"):
        async with link.session(row(breaks="verify")) as session:
            await link.verify(session, ANSWER)

    assert environment.closed == ["s0", "s1", "s2", "s3"]
    assert link.open_sessions == 0


async def test_a_cancelled_rollout_closes_its_session() -> None:
    environment = Notes()
    link = LocalEnvironment(environment)
    inside = asyncio.Event()

    async def rollout() -> None:
        async with link.session(row()):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(rollout())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert environment.closed == ["s0"]


async def test_being_cancelled_while_seeding_closes_the_session_too() -> None:
    class Slow(Notes):
        async def seed(self, task: Any, session: Session) -> None:
            inside.set()
            await asyncio.Event().wait()

    environment, inside = Slow(), asyncio.Event()
    task = asyncio.create_task(LocalEnvironment(environment).open(row()))
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert environment.closed == ["s0"]


async def test_a_close_that_raises_is_a_fault_and_is_not_tried_again() -> None:
    environment = Notes()
    link = LocalEnvironment(environment)
    session = await link.open(row(breaks="close"))

    with pytest.raises(EnvironmentFault, match="close raised LookupError"):
        await link.close(session)
    await link.close(session)

    assert environment.closed == ["s0"]


@pytest.mark.parametrize("hook", ["seed", "verify", "close"])
async def test_a_failure_that_says_what_it_is_passes_as_it_is(
    hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It did not come from itself: whoever follows where an error came from gets to an end."""
    unfit = TaskUnfit("this row has no answer")

    def fail(_: Notes, name: str, __: Any) -> None:
        if name == hook:
            raise unfit

    async def rollout() -> None:
        link = LocalEnvironment(Notes())
        session = await link.open(row())
        await link.verify(session, ANSWER)
        await link.close(session)

    monkeypatch.setattr(Notes, "_hook", fail)
    with pytest.raises(TaskUnfit) as caught:
        await rollout()
    assert caught.value is unfit
    assert caught.value.__cause__ is None


async def test_a_row_that_does_not_fit_is_a_fault_before_anything_is_seeded() -> None:
    environment = Notes()
    link = LocalEnvironment(environment)

    with pytest.raises(EnvironmentFault, match="task does not fit notes: missing column `expected`"):
        await link.open({"responses_create_params": ask("hi")})

    assert environment.closed == []


async def test_sessions_nobody_has_used_for_their_time_to_live_are_closed(clock: Clock) -> None:
    environment = Notes()
    link = LocalEnvironment(environment)
    await link.open(row(0))
    clock.now = 1800.0
    used = await link.open(row(1))
    clock.now = 3599.0
    await link.call(used, remember("x"))
    await link.open(row(2))
    assert environment.closed == []

    clock.now = 3600.0
    await link.open(row(3))
    assert environment.closed == ["s0"]

    clock.now = 3600.0 + 3599.0
    await link.open(row(4))

    assert environment.closed == ["s0", "s1", "s2"]
    assert link.open_sessions == 2


async def test_an_unknown_tool_is_answered_with_the_nearest_name() -> None:
    link = LocalEnvironment(Notes())
    async with link.session(row()) as session:
        near = await link.call(session, function_call("remembr", "{}", call_id="c"))
        far = await link.call(session, function_call("\ud800", "{}", call_id="c"))

    assert json.loads(near) == {"error": "There is no tool 'remembr'. Did you mean 'remember'?"}
    assert "Known: remember." in json.loads(far)["error"]


async def test_the_tools_of_the_environment_are_offered_in_the_session() -> None:
    async with LocalEnvironment(Notes()).session(row()) as session:
        assert [schema.get("name") for schema in session.tools] == ["remember"]


async def test_a_session_holds_the_whole_row_and_the_typed_task() -> None:
    given = row(extra="kept")
    async with LocalEnvironment(Notes()).session(given) as session:
        assert session.row is given
        assert isinstance(session.task, Notes.Task)
        assert session.task.expected == "hello"


@pytest.mark.parametrize("wrong", [None, "1.0", float("nan"), {"a": "b"}])
async def test_what_is_not_a_reward_is_the_verifier_s_fault(wrong: Any) -> None:
    class Wrong(Environment):
        async def verify(self, task: Any, response: Response, session: Session) -> Any:
            return wrong

    link = LocalEnvironment(Wrong())
    async with link.session(row()) as session:
        with pytest.raises(VerifierFault, match="verify returned"):
            await link.verify(session, ANSWER)


async def test_a_judge_that_fails_is_not_the_verifier_s_fault() -> None:
    class Judged(Environment):
        def verify(self, task: Any, response: Response, session: Session) -> Any:
            raise ModelTimeout("the judge did not answer")

    link = LocalEnvironment(Judged())
    async with link.session(row()) as session:
        with pytest.raises(JudgeFailed, match="ModelTimeout: the judge did not answer"):
            await link.verify(session, ANSWER)


async def test_a_tool_whose_sandbox_server_is_gone_fails_the_rollout() -> None:
    class Shell(Environment):
        @tool
        def run(self) -> str:
            """Run."""
            raise SandboxUnreachable("the server is gone")

        def verify(self, task: Any, response: Response, session: Session) -> float:
            return 0.0

    link = LocalEnvironment(Shell())
    async with link.session(row()) as session:
        with pytest.raises(SandboxUnreachable, match="the server is gone"):
            await link.call(session, function_call("run", "{}", call_id="c"))


class Countdown(StepEnvironment):
    max_steps = 4

    def reset(self, task: Any, session: Session) -> Any:
        if "explain" in session.row:
            return Observation("three", {"from": 3})
        return session.row.get("first")

    async def step(self, action: Response, session: Session) -> Any:
        if action.final_text == "crash":
            raise ValueError("boom")
        return Step("two", 0.5) if action.final_text == "hello" else action.final_text


async def test_a_step_environment_is_reset_and_stepped() -> None:
    link = LocalEnvironment(Countdown())
    assert (link.steps, link.max_steps) == (True, 4)
    for given, text, info in [
        (row(), None, {}),
        (row(first="three"), "three", {}),
        (row(explain=True), "three", {"from": 3}),
    ]:
        async with link.session(given) as session:
            first = await link.reset(session)
            assert (first.text, first.info) == (text, info)
            assert await link.step(session, ANSWER) == Step("two", 0.5)


async def test_a_step_that_raises_or_gives_back_something_else_is_a_fault() -> None:
    link = LocalEnvironment(Countdown())
    async with link.session(row()) as session:
        with pytest.raises(EnvironmentFault, match="step raised ValueError: boom"):
            await link.step(session, Response.of([assistant("crash")]))
        with pytest.raises(EnvironmentFault, match="step returned str, not a Step"):
            await link.step(session, Response.of([assistant("other")]))


async def test_a_tools_environment_can_not_be_stepped() -> None:
    link = LocalEnvironment(Notes())
    assert not link.steps
    async with link.session(row()) as session:
        with pytest.raises(EnvironmentFault, match="notes has no reset and step; use the tool loop"):
            await link.reset(session)
        with pytest.raises(EnvironmentFault, match="use the tool loop"):
            await link.step(session, ANSWER)


async def test_an_observation_that_is_not_text_is_a_fault() -> None:
    class Numbers(StepEnvironment):
        def reset(self, task: Any, session: Session) -> Any:
            return 3

    link = LocalEnvironment(Numbers())
    async with link.session(row()) as session:
        with pytest.raises(EnvironmentFault, match="reset returned int"):
            await link.reset(session)


class TestTimeToLive:
    """It counts from the end of a session's last use."""

    @pytest.fixture
    def clock(self, monkeypatch):
        now = [1000.0]
        monkeypatch.setattr("nemo_gym.environments.link.monotonic", lambda: now[0])
        return now

    class Slow(Environment):
        session_ttl = 60.0

        def __init__(self) -> None:
            super().__init__()
            self.go = asyncio.Event()

        async def seed(self, task: Any, session: Session) -> None:
            if task.responses_create_params.get("input") == "wait":
                await self.go.wait()

        @tool
        async def work(self) -> str:
            """Take long."""
            await self.go.wait()
            return "done"

        async def verify(self, task: Any, response: Response, session: Session) -> float:
            await self.go.wait()
            return 1.0

    @pytest.mark.parametrize("use", ["call", "verify", "seed"])
    async def test_a_session_in_use_does_not_expire(self, clock, use):
        link = LocalEnvironment(environment := self.Slow())
        if use == "seed":
            working = asyncio.create_task(link.open({"responses_create_params": {"input": "wait"}}))
        else:
            session = await link.open({"responses_create_params": {"input": "x"}})
            call = function_call("work", "{}", call_id="c")
            work = link.call(session, call) if use == "call" else link.verify(session, Response.of([]))
            working = asyncio.create_task(work)
        await asyncio.sleep(0)
        for _ in range(3):
            clock[0] += 61
            await link.close_expired()
            assert link.open_sessions == 1
        environment.go.set()
        await working
        clock[0] += 59
        await link.close_expired()
        assert link.open_sessions == 1
        clock[0] += 2
        await link.close_expired()
        assert link.open_sessions == 0

    async def test_a_rollout_whose_model_takes_long_keeps_its_session(self, clock):
        link = LocalEnvironment(self.Slow())
        row = {"responses_create_params": {"input": "x"}}
        async with link.session(row) as session:
            clock[0] += 3600
            async with link.session(row):
                assert link.is_open(session)
        assert link.open_sessions == 0

    async def test_a_session_in_use_does_not_keep_others_open(self, clock):
        link = LocalEnvironment(self.Slow())
        row = {"responses_create_params": {"input": "x"}}
        async with link.session(row) as held:
            idle = await link.open(row)
            clock[0] += 61
            await link.close_expired()
            assert (link.is_open(held), link.is_open(idle)) == (True, False)

    async def test_nothing_waits_for_ever_where_sessions_live_no_time_at_all(self, clock):
        link = LocalEnvironment(environment := self.Slow())
        type(environment).session_ttl = 0.0
        try:
            async with link.session({"responses_create_params": {"input": "x"}}) as held:
                await link.close_expired()
                assert link.is_open(held)
        finally:
            type(environment).session_ttl = 60.0
