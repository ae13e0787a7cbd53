"""`session.sandbox`: from the run's pool, and closed however the session ends."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from nemo_gym import Environment, Response, Session, Step, StepEnvironment, Task, ask, collect
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.resources import Resources
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.sandbox import SandboxPool, SandboxSpec
from nemo_gym.sandbox.errors import SandboxStopped
from nemo_gym.sandbox.providers.local import LocalProvider
from nemo_gym.wire.errors import RolloutTimeout, UsageError, VerifierFault
from nemo_gym.wire.items import assistant
from tests.support.virtual_time import pass_time

ROW: dict[str, Any] = {"responses_create_params": ask("Go.")}
ANSWER = Response.of([assistant("echo 42")])


class Shell(Environment):
    """Holds one sandbox for the session, and runs the answer in another."""

    async def seed(self, task: Task, session: Session) -> None:
        session.state["held"] = await session.sandbox(SandboxSpec(files={"number": "42"}))

    async def verify(self, task: Task, response: Response, session: Session) -> float:
        if session.row.get("breaks"):
            raise LookupError("no verdict")
        if session.row.get("hangs"):
            asyncio.get_running_loop().call_later(0.5, pass_time, session.row["hangs"])
            await session.state["held"].exec("sleep 1000", timeout_s=None)
        async with session.sandbox() as sandbox:
            ended = await sandbox.exec(response.final_text)
        expected = await session.state["held"].exec("cat number")
        return float((ended.stdout or "").strip() == expected.stdout)


def local() -> tuple[LocalProvider, Resources]:
    provider = LocalProvider(create={"isolation": "auto"})
    return provider, Resources(sandboxes=SandboxPool(provider, limit=1))


async def held(provider: LocalProvider) -> str:
    return "namespaces" if (await provider.isolation()).namespaces else "none"


async def test_a_session_holds_sandboxes_and_the_row_notes_their_isolation() -> None:
    provider, resources = local()
    link = LocalEnvironment(Shell(), resources=resources)
    async with link.session(ROW) as session:
        reward = await link.verify(session, ANSWER)
        assert len(provider._live) == 1
    assert reward.value == 1.0
    assert reward.details == {"ng_sandbox": {"local": await held(provider)}}
    assert provider._live == {}
    with pytest.raises(SandboxStopped, match="the session is over"):
        await session.sandbox()
    await link.aclose()


@pytest.mark.parametrize(
    ("column", "failure"),
    [({"breaks": True}, VerifierFault), ({"hangs": 60}, RolloutTimeout)],
    ids=["failure", "timeout"],
)
async def test_sandboxes_end_with_a_rollout_that_fails(
    column: dict[str, Any], failure: type[Exception]
) -> None:
    provider, resources = local()
    environment = Shell()
    environment.resources = resources
    rows = [{**ROW, **column}]
    model = ScriptedModel(lambda _: "echo 42")
    [rollout] = [one async for one in collect(environment, model, rows, rollout_timeout=60.0)]
    assert isinstance(rollout.failure, failure)
    assert rollout.details["ng_sandbox"] == {"local": await held(provider)}
    assert provider._live == {}


async def test_sandboxes_end_with_a_collection_that_is_cancelled() -> None:
    provider, resources = local()
    environment = Shell()
    environment.resources = resources

    async def run() -> None:
        rows = [{**ROW, "hangs": 0.001}] * 3
        async for _ in collect(environment, ScriptedModel(lambda _: "x"), rows, concurrency=3):
            pass

    running = asyncio.create_task(run())
    async with asyncio.timeout(60):
        while not provider._live:
            await asyncio.sleep(0.001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert provider._live == {}
    assert resources.sandboxes._in_use == 0


async def test_the_steps_of_an_episode_note_it_too() -> None:
    class Once(StepEnvironment):
        async def reset(self, task: Task, session: Session) -> None:
            await session.sandbox()

        async def step(self, action: Response, session: Session) -> Step:
            return Step(reward=1.0, terminated=True)

    provider, resources = local()
    environment = Once()
    environment.resources = resources
    [rollout] = [one async for one in collect(environment, ScriptedModel(lambda _: "x"), [ROW])]
    assert rollout.details["info"] == {"ng_sandbox": {"local": await held(provider)}}
    assert provider._live == {}


async def test_the_argument_of_collect_is_the_limit_of_its_pool() -> None:
    with pytest.raises(UsageError, match="max_sandboxes: expected a whole number from 1, got 0"):
        await anext(collect(Shell(), "random", [ROW], max_sandboxes=0))

    class Limit(Environment):
        def verify(self, task: Task, response: Response, session: Session) -> float:
            return self.resources.sandboxes.limit / 100

    [rollout] = [one async for one in collect(Limit(), ScriptedModel(lambda _: "x"), [ROW], max_sandboxes=7)]
    assert rollout.reward == 0.07


def test_a_session_without_sandboxes_loads_nothing_of_them() -> None:
    code = (
        "import asyncio, sys\n"
        "import nemo_gym as gym\n"
        "async def main():\n"
        "    async for _ in gym.collect('mcqa', 'random', limit=1): pass\n"
        "asyncio.run(main())\n"
        "print([name for name in sys.modules if name.startswith('nemo_gym.sandbox.')])\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == (
        "['nemo_gym.sandbox.errors', 'nemo_gym.sandbox.config', 'nemo_gym.sandbox.pool']\n"
    )
