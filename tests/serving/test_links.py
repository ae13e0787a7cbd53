"""Links at work: what a rollout is worth doesn't depend on where its environment and agent live."""

from __future__ import annotations

from itertools import islice

import pytest
from loopback import served

import nemo_gym
from nemo_gym.agents.remote_run import RemoteRun
from nemo_gym.environments.discovery import find_environment, list_environments
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.openapi_description import fetch_description
from nemo_gym.models.baselines import OracleModel, RandomModel
from nemo_gym.runs.component_specs import AgentSpec
from nemo_gym.serving.agent_app import agent_app
from nemo_gym.serving.environment_app import environment_app
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.secrets import Secret
from nemo_gym.wire.errors import GymError
from nemo_gym.wire.rollout import Rollout
from nemo_gym.wire.task import Row, task_to_row
from tests.support.sandboxed import runs_programs

ENVIRONMENTS = [
    info.name
    for info in list_environments(roots=[])
    if not list(find_environment(info.name, roots=[])().needed_models())
]
"""Those that can run without a second model."""


def rows(name: str) -> list[Row]:
    """A few tasks of an environment."""
    n = 1 if runs_programs(name) else 4
    return [task_to_row(task) for task in islice(find_environment(name)().tasks("train", 0, n), n)]


def told(rollouts: list[Rollout]) -> list[tuple[object, ...]]:
    """What matters of each rollout, by task."""
    ordered = sorted(rollouts, key=lambda rollout: rollout.task_index)
    assert [str(rollout.failure) for rollout in ordered if rollout.failure] == []
    return [
        (one.reward, one.components, one.outcome, len(one.response.output)) for one in ordered if one.response
    ]


@pytest.mark.parametrize("name", ENVIRONMENTS)
async def test_an_environment_is_the_same_behind_a_url(name: str) -> None:
    tasks = rows(name)
    here = [rollout async for rollout in nemo_gym.collect(name, RandomModel(), tasks)]

    link = LocalEnvironment(find_environment(name)())
    async with served(environment_app(link, name, AppOptions())) as url:
        there = [rollout async for rollout in nemo_gym.collect(url, RandomModel(), tasks)]

    await link.aclose()
    assert told(there) == told(here)
    assert link.open_sessions == 0


@pytest.mark.parametrize("name", ENVIRONMENTS)
async def test_an_agent_is_the_same_behind_a_url(name: str) -> None:
    link = LocalEnvironment(find_environment(name)())
    agent = AgentSpec().resolve(name, steps=link.steps).build()
    tasks = rows(name)
    here = [rollout async for rollout in nemo_gym.collect(name, OracleModel(link), tasks)]

    async with served(agent_app(agent, link, OracleModel(link), name, AppOptions())) as url:
        remote = RemoteRun(url=url)
        there = [rollout async for rollout in nemo_gym.collect(None, None, tasks, agent=remote)]
        await remote.aclose()

    await link.aclose()
    assert told(there) == told(here)


async def test_a_server_that_wants_a_token_gets_it_or_says_so() -> None:
    link = LocalEnvironment(find_environment("mcqa")())
    agent = AgentSpec("single_call").build()
    app = agent_app(agent, link, RandomModel(), "mcqa", AppOptions(token=Secret("s3cret")))
    async with served(app) as url:
        outcomes: list[object] = []
        for token in ("s3cret", ""):
            remote = RemoteRun(url=url, token=token)
            rollouts = [
                rollout async for rollout in nemo_gym.collect(None, None, rows("mcqa")[:1], agent=remote)
            ]
            failure = rollouts[0].failure
            outcomes.append(failure and failure.http_status)
            await remote.aclose()
        with pytest.raises(GymError, match="asks for another token"):
            await fetch_description(url, token="wrong")

    assert outcomes == [None, 401]


async def test_a_url_with_nobody_behind_it_is_known_at_once() -> None:
    with pytest.raises(GymError, match="no resources server at"):
        async for _ in nemo_gym.collect("http://127.0.0.1:1", RandomModel(), rows("mcqa")):
            pass
