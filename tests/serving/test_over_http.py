"""Environments and agents behind a real server, used by a real client."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec
import pytest
from loopback import served

from nemo_gym import Observation, Response, Session, Step, StepEnvironment
from nemo_gym.agents.registry import find_agent
from nemo_gym.agents.step_loop import StepLoop
from nemo_gym.agents.tool_loop import ToolLoop
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.openapi_description import fetch_description
from nemo_gym.environments.remote import RemoteEnvironment
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.runs.collect import attempt
from nemo_gym.serving.agent_app import agent_app
from nemo_gym.serving.environment_app import environment_app
from nemo_gym.serving.limits import Limits
from nemo_gym.serving.options import AppOptions
from nemo_gym.stats.reward_scale import RewardScale
from nemo_gym.support.time_limit import TimeLimit
from nemo_gym.wire.items import assistant, function_call
from nemo_gym.wire.params import RequestParams, input_items


def rows(environment: str, count: int) -> list[dict[str, Any]]:
    tasks = find_environment(environment)().tasks("example", 0, count)
    return [msgspec.to_builtins(task) for _, task in zip(range(count), tasks, strict=False)]


async def test_many_rollouts_at_once_keep_their_own_counters():
    link = LocalEnvironment(find_environment("example_session_state_mgmt")())
    row = rows("example_session_state_mgmt", 1)[0]

    async def rollout(url: str, times: int) -> tuple[int, float]:
        async with httpx.AsyncClient(base_url=url) as client:
            await client.post("/seed_session", json={**row, "expected_count": row["initial_count"] + times})
            for _ in range(times):
                await client.post("/increment_counter", json={"count": 1})
            seen = await client.post("/get_counter_value", json={})
            verdict = await client.post(
                "/verify",
                json={**row, "expected_count": row["initial_count"] + times, "response": {"output": []}},
            )
            return seen.json(), verdict.json()["reward"]

    async with served(environment_app(link, "counter", AppOptions())) as url:
        results = await asyncio.gather(*(rollout(url, times) for times in range(20)))

    assert all(reward == 1.0 for _, reward in results)
    assert link.open_sessions == 0


async def test_a_million_tokens_and_their_ids_pass_through_verify():
    link = LocalEnvironment(find_environment("mcqa")())
    ids = list(range(100_000, 1_100_000))
    message = {
        **assistant("The answer is B."),
        "prompt_token_ids": ids,
        "generation_token_ids": [1, 2],
        "generation_log_probs": [-0.5, -0.25],
    }
    body = {**rows("mcqa", 1)[0], "response": {"output": [message]}}

    async with served(environment_app(link, "mcqa", AppOptions())) as url, httpx.AsyncClient() as client:
        answer = await client.post(f"{url}/verify", json=body, timeout=60)

    assert answer.status_code == 200
    assert answer.json()["response"] == body["response"]


async def test_a_body_beyond_the_limit_is_refused_before_it_is_read():
    app = environment_app(
        LocalEnvironment(find_environment("mcqa")()), "mcqa", AppOptions(limits=Limits(body_bytes=10_000))
    )
    async with served(app) as url, httpx.AsyncClient() as client:
        announced = await client.post(f"{url}/verify", content=b"x" * 1_000_000)
        assert announced.status_code == 413

        async def endless() -> Any:
            for _ in range(100):
                yield b"x" * 1000

        unannounced = await client.post(f"{url}/verify", content=endless())
        assert unannounced.status_code == 413


async def test_apps_in_one_loop_each_on_its_own_port_keep_their_cookies_apart():
    link = LocalEnvironment(find_environment("example_session_state_mgmt")())
    options = AppOptions()
    one, two = environment_app(link, "one", options), environment_app(link, "two", options)
    agent = agent_app(ToolLoop(), link, ScriptedModel(lambda _: "Done."), "agent", options)
    row = rows("example_session_state_mgmt", 1)[0]
    async with (
        served(one) as first,
        served(two) as second,
        served(agent) as third,
        httpx.AsyncClient() as client,
    ):
        await client.post(f"{first}/seed_session", json=row)
        await client.post(f"{second}/seed_session", json=row)
        ran = await client.post(f"{third}/run", json=row)
        await client.post(f"{first}/increment_counter", json={"count": 100})

        assert ran.json()["reward"] in (0.0, 1.0)
        assert len(client.cookies) == 3
        ours, theirs = [
            (await client.post(f"{url}/get_counter_value", json={})).text for url in (first, second)
        ]
        assert ours != theirs


@pytest.mark.parametrize(
    "name", ["mcqa", "example_session_state_mgmt", "workplace_assistant", "reasoning", "blackjack", "sokoban"]
)
async def test_a_rollout_is_the_same_row_in_this_process_and_over_http(name):
    kind = find_environment(name)
    local, behind = LocalEnvironment(kind()), LocalEnvironment(kind())
    agent = find_agent("step_loop" if local.steps else "tool_loop")()
    tasks = kind().tasks("train" if name in ("reasoning", "sokoban") else "example", 0, 3)
    async with served(environment_app(behind, name, AppOptions())) as url:
        remote = RemoteEnvironment(url, about=await fetch_description(url))
        for index, task in zip(range(3), tasks, strict=False):
            row = {"_ng_task_index": index, "_ng_rollout_index": 0, **msgspec.to_builtins(task)}
            here, there = [
                (
                    await attempt(agent, row, link, ScriptedModel(every_tool_once), limit=TimeLimit(60))
                ).to_row()
                for link in (local, remote)
            ]
            there["ng_timing"] = here["ng_timing"]
            assert there == here
        await remote.aclose()
    assert behind.open_sessions == 0


class Generous(StepEnvironment):
    """Its steps add up to more than it declares."""

    reward_range = (0.0, 1.0)
    solved_at = 0.5

    def reset(self, task: Any, session: Session) -> Observation:
        return Observation("go")

    def step(self, action: Response, session: Session) -> Step:
        steps = session.state["steps"] = session.state.get("steps", 0) + 1
        return Step("on", 0.75, terminated=steps == 2)


async def test_steps_that_add_up_to_more_than_is_declared_are_the_same_fault_over_http():
    row = {"_ng_task_index": 0, "_ng_rollout_index": 0, "responses_create_params": {"input": "x"}}
    async with served(environment_app(LocalEnvironment(Generous()), "g", AppOptions())) as url:
        about = await fetch_description(url)
        remote = RemoteEnvironment(url, about=about)
        here, there = [
            await attempt(StepLoop(), row, link, ScriptedModel(lambda _: "x"), limit=TimeLimit(60))
            for link in (LocalEnvironment(Generous()), remote)
        ]
        await remote.aclose()
    assert about.rewards is not None
    assert about.rewards.scale == RewardScale(0.0, 1.0, 0.5, declared=True)
    assert str(there.failure) == str(here.failure)
    assert there.failure is not None
    assert there.failure.failure_class == "verifier_error"
    assert "outside the declared reward_range 0 to 1" in str(there.failure)


def every_tool_once(params: RequestParams) -> Any:
    """Calls each tool without arguments, then answers."""
    called = any(item["type"] == "function_call" for item in input_items(params))
    tools = params.get("tools") or []
    if tools and not called:
        return [function_call(tool["name"], "{}", call_id=f"c{n}") for n, tool in enumerate(tools)]
    return "\\boxed{A} <action>stand</action>"
