"""The models that a served environment asks: supplied by the configuration, judged failures over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from loopback import served
from starlette.testclient import TestClient

import nemo_gym
from nemo_gym.config.instances import Instance
from nemo_gym.environments.base import Environment, Step, StepEnvironment
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.resources import Resources
from nemo_gym.environments.session import Session
from nemo_gym.environments.tool import tool
from nemo_gym.models.asked_model import CountedModel
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.serving.components import Components
from nemo_gym.serving.environment_app import environment_app
from nemo_gym.serving.options import AppOptions
from nemo_gym.wire.errors import ModelTimeout, UsageError
from nemo_gym.wire.items import function_call
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Rollout

ROW: dict[str, Any] = {"responses_create_params": {"input": "x"}}
ESSAY = """
from nemo_gym import Environment

class Essay(Environment):
    asks = ("judge",)

    async def verify(self, task, response, session):
        return float(await self.models["judge"].text("good?") == "yes")
"""


class Dialogue(StepEnvironment):
    asks = ("judge",)

    def reset(self, task: Any, session: Session) -> None:
        return None

    async def step(self, action: Response, session: Session) -> Step:
        good = await self.models["judge"].text(action.final_text)
        session.state["steps"] = session.state.get("steps", 0) + 1
        return Step("go on", float(good == "yes") / 2, terminated=session.state["steps"] == 2)


class Library(Environment):
    asks = ("judge",)

    @tool
    async def look(self, session: Session) -> str:
        """Look something up."""
        return await self.models["judge"].text("x")

    def verify(self, task: Any, response: Response, session: Session) -> float:
        return 1.0


class Seeded(Library):
    async def seed(self, task: Any, session: Session) -> None:
        session.state["said"] = await self.models["judge"].text("x")


def dead(params: RequestParams) -> str:
    raise ModelTimeout("no answer")


def supplied(environment: Environment, script: Any) -> LocalEnvironment:
    models = {"judge": CountedModel("judge", ScriptedModel(script), owned=True)}
    return LocalEnvironment(environment, resources=Resources(models=models))


def policy(params: RequestParams) -> Any:
    return "done" if len(params["input"]) > 1 else [function_call("look", "{}", call_id="c")]


async def behind_url(environment: Environment, script: Any, answer: Any = policy) -> Rollout:
    link = supplied(environment, script)
    async with served(environment_app(link, "essay", AppOptions())) as url:
        (rollout,) = [one async for one in nemo_gym.collect(url, ScriptedModel(answer), [ROW])]
    return rollout


@pytest.mark.parametrize(
    ("kind", "answer"), [(Dialogue, lambda _: "hello"), (Library, policy), (Seeded, policy)]
)
async def test_a_judge_that_fails_in_a_step_a_tool_or_a_seed_is_judge_failed(kind: Any, answer: Any) -> None:
    rollout = await behind_url(kind(), dead, answer)
    assert rollout.reward is None
    assert rollout.failure is not None
    assert rollout.failure.failure_class == "judge_failed"
    assert str(rollout.failure) == "ModelTimeout: no answer (asked as 'judge')"


@pytest.mark.parametrize(("kind", "calls"), [(Dialogue, 2), (Library, 1), (Seeded, 2)])
async def test_what_a_judge_costs_is_in_the_row_of_a_served_environment_too(kind: Any, calls: int) -> None:
    there = await behind_url(kind(), lambda _: "yes")
    models: Mapping[str, Any] = {"judge": ScriptedModel(lambda _: "yes")}
    (here,) = [one async for one in nemo_gym.collect(kind(), ScriptedModel(policy), [ROW], models=models)]
    for rollout in (there, here):
        usage: Any = rollout.to_row()["ng_asked_models"]
        assert (usage["judge"]["calls"], usage["judge"]["failed"]) == (calls, 0)


def components(folder: Path, *more: Instance, **settings: Any) -> Components:
    path = folder / "essay.py"
    path.write_text(ESSAY)
    (folder / "script.py").write_text("answer = lambda params: 'yes'")
    environment = Instance("essay", "resources_servers", "essay", settings, f"{path}:Essay")
    named = {one.name: one for one in (environment, *more)}
    return Components(named, frozenset(named), AppOptions())


async def test_a_server_without_its_judge_refuses_to_start(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        await components(tmp_path).app("essay")
    assert str(caught.value) == (
        "environment essay asks the model 'judge', which nobody supplied: set "
        "essay.resources_servers.essay.judge to {type: chat, url: ..., model: ...}, or "
        "essay.resources_servers.essay.judge_model_server to the instance of a model"
    )


@pytest.mark.parametrize("source", ["judge", "judge_model_server", "settings"])
async def test_a_server_s_judge_is_described_or_referred_to(tmp_path: Path, source: str) -> None:
    script = {"name": f"{tmp_path}/script.py:answer"}
    critic = Instance("critic", "responses_api_models", "scripted", script, "app.py")
    reference = {"type": "responses_api_models", "name": "critic"}
    settings = {"judge": {"type": "scripted", **script}} if source == "settings" else {source: reference}
    made = components(tmp_path, critic, **settings)
    with TestClient(await made.app("essay")) as client:
        answer = client.post("/verify", json={**ROW, "response": {"id": "r", "output": []}}).json()
    await made.aclose()
    assert (answer["reward"], answer["ng_asked_models"]["judge"]["calls"]) == (1.0, 1)


async def test_a_judge_that_does_not_answer_is_said_when_the_servers_start(tmp_path: Path) -> None:
    made = components(tmp_path, judge={"url": "http://127.0.0.1:9/v1", "model": "critic"})
    await made.app("essay")
    (problem,) = await made.unreachable()
    await made.aclose()
    assert "no model endpoint at http://127.0.0.1:9/v1" in problem
