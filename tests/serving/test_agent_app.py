"""An agent as a server: rollouts, trajectories, failures."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from loopback import served
from starlette.testclient import TestClient

from nemo_gym.agents.base import Agent
from nemo_gym.agents.step_loop import StepLoop
from nemo_gym.agents.tool_loop import ToolLoop
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.link import EnvironmentLink, LocalEnvironment
from nemo_gym.models.base import Model
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.serving.agent_app import agent_app
from nemo_gym.serving.options import AppOptions
from nemo_gym.wire.errors import ModelError
from nemo_gym.wire.items import function_call
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.rollout import Rollout
from nemo_gym.wire.task import Row
from tests.support.earlier_run import DETAILS

ROW = {
    "responses_create_params": {"input": [{"role": "user", "content": "Bring the counter to 5."}]},
    "initial_count": 3,
    "expected_count": 5,
    "_ng_task_index": 4,
    "_ng_rollout_index": 1,
    "agent_ref": {"type": "responses_api_agents", "name": "counter_agent"},
}


def policy(params: RequestParams) -> Any:
    """Adds two, then says that it is done."""
    made = [item for item in params["input"] if item["type"] == "function_call_output"]  # type: ignore[index]
    return "Done." if made else [function_call("increment_counter", '{"count": 2}', call_id="c1")]


def server(
    model: Model | None = None,
    *,
    environment: str = "example_session_state_mgmt",
    agent: Agent | None = None,
    **options: Any,
) -> TestClient:
    link = LocalEnvironment(find_environment(environment)())
    played = agent or (StepLoop() if link.steps else ToolLoop())
    return TestClient(agent_app(played, link, model or ScriptedModel(policy), "a", AppOptions(), **options))


def test_a_row_becomes_a_scored_rollout_with_its_identity():
    result = server().post("/run", json=ROW).json()

    assert result["reward"] == 1.0
    assert [item["type"] for item in result["response"]["output"]] == [
        "function_call", "function_call_output", "message"
    ]  # fmt: skip
    assert result["responses_create_params"].pop("tools"), "what the model was offered"
    assert ROW.items() <= result.items()
    assert result["ng_outcome"] == "completed"


def test_stale_results_in_the_row_are_dropped():
    stale = {**DETAILS, "reward": 0.25, "_ng_failure_class": "old"}

    result = server().post("/run", json={**ROW, **stale}).json()

    assert result["reward"] == 1.0
    assert result.keys() & stale.keys() == {"reward"}


def test_a_rollout_that_fails_is_an_answer_with_its_failure_class_and_no_reward():
    def broken(_: RequestParams) -> str:
        raise ModelError("no luck", http_status=503, body="busy")

    answer = server(ScriptedModel(broken)).post("/run", json=ROW)

    assert answer.status_code == 200
    result = answer.json()
    assert result["_ng_failure_class"] == "model_error"
    assert result["_ng_failure_http_status"] == 503
    assert result["responses_create_params"].pop("tools"), "what the model was offered"
    assert ROW.items() <= result.items()
    assert "reward" not in result


def test_a_row_that_does_not_fit_is_a_failure_for_good():
    result = server().post("/run", json={"responses_create_params": {"input": "hi"}}).json()

    assert result["_ng_failure_class"] == "environment_error"
    assert result["_ng_failure_terminal"] is True


def test_a_rollout_past_its_time_is_a_failure():
    async def asleep(_: RequestParams) -> str:
        await asyncio.Event().wait()
        return ""

    result = server(ScriptedModel(asleep), rollout_timeout=0.05).post("/run", json=ROW).json()

    assert result["_ng_failure_class"] == "rollout_timeout"


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({}, ["body", "responses_create_params"]),
        ({"responses_create_params": {}}, ["body", "responses_create_params", "input"]),
        (
            {"responses_create_params": {"input": "x", "temprature": 1}},
            ["body", "responses_create_params", "temprature"],
        ),
    ],
)
def test_a_request_that_is_none_is_422(body, loc):
    answer = server().post("/run", json=body)

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == loc


@pytest.mark.parametrize("prefix", ["", "/ng-rollout/4-1", "/ng-rollout/4-1/training-token-capture"])
def test_the_loop_can_be_called_on_its_own(prefix):
    params = {"input": "Hit or stand?", "temperature": 0.5}

    answer = server(ScriptedModel(lambda _: "<action>stand</action>"), environment="blackjack").post(
        f"{prefix}/v1/responses", json=params
    )

    assert answer.status_code == 200
    assert answer.json()["object"] == "response"
    assert answer.json()["output"][0]["content"][0]["text"] == "<action>stand</action>"


def test_a_loop_whose_session_needs_the_row_says_so():
    answer = server().post("/v1/responses", json={"input": "Bring the counter to 5."})

    assert answer.status_code == 422
    assert "missing column" in answer.json()["detail"][0]["msg"]


def test_verification_can_be_skipped():
    skipping = server(skip_verification=True, skip_verification_reward=0.5)

    result = skipping.post("/run", json=ROW).json()

    assert (result["reward"], result["verification_skipped"]) == (0.5, True)
    metrics = skipping.post("/aggregate_metrics", json={"verify_responses": [result]}).json()
    assert metrics["agent_metrics"] == {}
    assert metrics["warning"]


def test_results_add_up_to_metrics():
    agent = server()
    results = [agent.post("/run", json={**ROW, "_ng_rollout_index": repeat}).json() for repeat in range(2)]

    metrics = agent.post("/aggregate_metrics", json={"verify_responses": results}).json()

    assert metrics["key_metrics"]["mean/reward"] == 1.0
    assert metrics["group_level_metrics"][0]["num_rollouts"] == 2
    assert metrics["group_level_metrics"][0]["sample"] == {"agent_ref": {"name": "counter_agent"}}


class Patient(Agent):
    """Waits, and tells when it is made to stop."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.stopped = asyncio.Event()

    async def run(self, row: Row, environment: EnvironmentLink, model: Model) -> Rollout:
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped.set()
        raise AssertionError


async def test_a_rollout_stops_when_its_client_hangs_up():
    agent = Patient()
    link = LocalEnvironment(find_environment("example_session_state_mgmt")())
    async with served(agent_app(agent, link, ScriptedModel(policy), "a", AppOptions())) as url:
        async with httpx.AsyncClient() as client:
            call = asyncio.create_task(client.post(f"{url}/run", json=ROW))
            await agent.began.wait()
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        async with asyncio.timeout(60):
            await agent.stopped.wait()
