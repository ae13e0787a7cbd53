"""An external agent at a URL that acts in an environment held here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from conftest import StartServer

from nemo_gym import Environment, Response, Session, tool
from nemo_gym.agents.remote_agent import RemoteAgent
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.models.no_model import NoModel
from nemo_gym.wire.errors import GymError, RemoteAgentError, UsageError
from nemo_gym.wire.rollout import Rollout, take_partial
from nemo_gym.wire.task import Row


class Counting(Environment):
    """Counts how often its tool is called."""

    @tool
    def add(self, session: Session) -> int:
        """Count one more."""
        session.state["count"] = session.state.get("count", 0) + 1
        return session.state["count"]

    def verify(self, task: Any, response: Response, session: Session) -> float:
        return float(session.state.get("count", 0) == 1)


@pytest.fixture
async def agent(server_url: str) -> AsyncIterator[RemoteAgent]:
    agent = RemoteAgent(agent_base_url=server_url, call_timeout=60)
    yield agent
    await agent.aclose()


def task(text: str) -> Row:
    return {"responses_create_params": {"input": [{"role": "user", "content": text}]}}


async def run(agent: RemoteAgent, text: str) -> Rollout:
    return await agent.run(task(text), LocalEnvironment(Counting()), NoModel())


async def test_open_calls_are_run_here_and_answered_ones_pass_through(agent: RemoteAgent) -> None:
    await agent.check()
    rollout = await run(agent, "count")

    assert rollout.reward == 1.0
    assert rollout.response is not None
    kinds = [(item["type"], item.get("call_id")) for item in rollout.response.output]
    assert kinds == [
        ("function_call", "own"),
        ("function_call_output", "own"),
        ("function_call", "theirs"),
        ("function_call_output", "theirs"),
        ("message", None),
    ]
    assert rollout.response.output_text == "saw 5 items"


@pytest.mark.parametrize(
    ("kind", "terminal"),
    [
        ("500", False),
        ("302", False),
        ("garbage", True),
        ("list", True),
        ("empty", True),
        ('{"output": []}', True),
        ('{"output": [{"type": "function_call"}]}', True),
    ],
)
async def test_every_way_to_fail_is_a_remote_agent_error(
    agent: RemoteAgent, kind: str, terminal: bool
) -> None:
    with pytest.raises(RemoteAgentError) as caught:
        await run(agent, f"trouble {kind}")

    assert caught.value.failure_class == "remote_agent_error"
    assert caught.value.terminal is terminal


@pytest.mark.parametrize("kind", ["hang", "die"])
async def test_a_call_without_an_answer_is_one_too(start_server: StartServer, kind: str) -> None:
    agent = RemoteAgent(agent_base_url=start_server()[0], call_timeout=1)
    with pytest.raises(RemoteAgentError) as caught:
        await run(agent, f"trouble {kind}")
    await agent.aclose()

    assert not caught.value.terminal


async def test_a_rollout_that_takes_too_long_is_one_too(start_server: StartServer) -> None:
    agent = RemoteAgent(url=start_server()[0], rollout_timeout=0.2)
    with pytest.raises(RemoteAgentError, match=r"within 0\.2 seconds") as caught:
        await run(agent, "trouble hang")
    await agent.aclose()

    assert take_partial(caught.value, task("trouble hang")).response is not None


def test_without_an_address_there_is_no_agent() -> None:
    with pytest.raises(UsageError, match="needs agent_base_url"):
        RemoteAgent()


async def test_nobody_at_the_url_is_known_before_the_run() -> None:
    agent = RemoteAgent(url="http://127.0.0.1:1")
    with pytest.raises(GymError, match=r"no agent at http://127.0.0.1:1"):
        await agent.check()
    await agent.aclose()
