"""A program as the agent, with an environment's tools within its reach."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from nemo_gym import Environment, Response, Session, StepEnvironment
from nemo_gym.agents.command import Command
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.library.agent.example_mcp_weather.environment import McpWeather
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.serving.loopback_model import LoopbackModel
from nemo_gym.serving.loopback_tools import open_tools

PROGRAM = """
import json, os, urllib.request

def post(url, body, **headers):
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream", **headers}
    return json.load(urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)))

base_url, api_key, mcp_url, mcp_token = (os.environ[name] for name in ("BASE", "KEY", "MCP", "SESSION"))
params = {"name": "get_weather", "arguments": {"city": "Dakar"}}
call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
result = post(mcp_url, call, **{"X-NeMo-Gym-Session-Token": mcp_token})["result"]
said = result["content"][0]["text"]
message = {"role": "user", "content": "The tool says: " + said}
post(base_url + "/responses", {"model": "m", "input": [message]}, authorization="Bearer " + api_key)
"""
VALUES = {"BASE": "{openai_base_url}", "KEY": "{api_key}", "MCP": "{mcp_url}", "SESSION": "{mcp_token}"}
ROW: dict[str, Any] = {
    "responses_create_params": {"input": [{"role": "user", "content": "The weather in Dakar, please."}]},
    "verifier_metadata": {"expected_city": "Dakar"},
    "_ng_task_index": 0,
    "_ng_rollout_index": 0,
}


@pytest.mark.parametrize("sandbox", [None, "local"])
async def test_a_program_calls_the_tools_of_its_own_session_over_mcp(sandbox: str | None) -> None:
    environment = open_tools(LocalEnvironment(McpWeather()))
    model = ScriptedModel(lambda params: str(params["input"][-1]["content"]).removeprefix("The tool says: "))
    agent = Command(argv=[sys.executable, "-I", "-c", PROGRAM], env=VALUES, sandbox=sandbox)
    try:
        async with LoopbackModel(model) as served:
            rollout = await agent.run(ROW, environment, served)
    finally:
        await environment.aclose()
    assert rollout.reward == 1.0
    assert "Dakar" in json.dumps(rollout.response.data)


async def test_where_there_is_nothing_to_offer_nothing_is_opened() -> None:
    class Steps(StepEnvironment):
        """No tools."""

    class Bare(Environment):
        def verify(self, task: Any, response: Response, session: Session) -> float:
            return 1.0

    steps = LocalEnvironment(Steps())
    assert open_tools(steps) is steps
    bare = open_tools(LocalEnvironment(Bare()))
    async with bare.session(ROW) as session:
        assert "mcp" not in session.state
    await bare.aclose()
