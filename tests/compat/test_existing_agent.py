"""An agent written for the original, in its own process, against this package's environment and model."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from nemo_gym.compat.base_resources_server import BaseRunRequest
from nemo_gym.compat.seeded_tools import seeding_row, take_tools, tools_of_session
from nemo_gym.environments.environment_info import library
from tests.compat.trainer import Actor
from tests.conftest import StartEndpoint

MULTI_STEP = "resources_servers/example_multi_step/configs/example_multi_step.yaml"
AGENT = "example_multi_step_simple_agent"
TOOLS = [{"type": "function", "name": "look", "parameters": {}, "strict": False}]
LOOP = """
import json

from fastapi import Request, Response
from pydantic import ConfigDict

from nemo_gym import PARENT_DIR
from nemo_gym.base_resources_server import BaseRunRequest, BaseVerifyResponse
from nemo_gym.base_responses_api_agent import BaseResponsesAPIAgentConfig, SimpleResponsesAPIAgent
from nemo_gym.config_types import ModelServerRef, ResourcesServerRef
from nemo_gym.openai_utils import (
    NeMoGymEasyInputMessage,
    NeMoGymFunctionCallOutput,
    NeMoGymResponse,
    NeMoGymResponseCreateParamsNonStreaming,
)
from nemo_gym.prompt import load_prompt_config
from nemo_gym.server_utils import get_response_json, raise_for_status

PROMPT = load_prompt_config("responses_api_agents/simple_agent/prompts/a.yaml")
assert (PARENT_DIR / "responses_api_agents/simple_agent/app.py").is_file()


class Config(BaseResponsesAPIAgentConfig):
    resources_server: ResourcesServerRef
    model_server: ModelServerRef


class Row(BaseRunRequest):
    model_config = ConfigDict(extra="allow")


class Scored(BaseVerifyResponse):
    model_config = ConfigDict(extra="allow")


class Loop(SimpleResponsesAPIAgent):
    config: Config

    async def responses(
        self, request: Request, response: Response, body: NeMoGymResponseCreateParamsNonStreaming
    ) -> NeMoGymResponse:
        assert not self._model_call_capture_enabled()
        if isinstance(body.input, str):
            body.input = [NeMoGymEasyInputMessage(role="user", content=body.input)]
        done, cookies, path = [], request.cookies, self.url_path_for_request("/v1/responses", request)
        assert path == "/v1/responses"
        while True:
            asked = body.model_copy(update={"input": body.input + done})
            answer = await self.server_client.post(self.config.model_server.name, path, json=asked)
            await raise_for_status(answer)
            result = NeMoGymResponse.model_validate(await get_response_json(answer))
            done += result.output
            calls = [item for item in result.output if item.type == "function_call"]
            for call in calls:
                server, arguments = self.config.resources_server.name, json.loads(call.arguments)
                told = await self.server_client.post(server, f"/{call.name}", json=arguments, cookies=cookies)
                cookies = told.cookies
                output = (await told.content.read()).decode()
                answered = {"type": "function_call_output", "call_id": call.call_id, "output": output}
                done.append(NeMoGymFunctionCallOutput(**answered))
            if not calls:
                break
        for name, value in cookies.items():
            response.set_cookie(name, value if isinstance(value, str) else value.value)
        result.output = done
        return result

    async def run(self, request: Request, body: Row) -> Scored:
        server = self.config.resources_server.name
        seeded = await self.server_client.post(server, "/seed_session", json=body.model_dump())
        await raise_for_status(seeded)
        path = self.url_path_for_run("/v1/responses", body)
        result = await self.server_client.post(
            self.config.name, path, json=body.responses_create_params, cookies=seeded.cookies
        )
        await raise_for_status(result)
        row = body.model_dump() | {"response": await get_response_json(result)}
        verified = await self.server_client.post(server, "/verify", json=row, cookies=result.cookies)
        await raise_for_status(verified)
        return Scored.model_validate(await get_response_json(verified))


if __name__ == "__main__":
    Loop.run_webserver()
"""


def rollouts(url: str) -> list[tuple[int, float, list[str], bool]]:
    """(row, reward, types of the items, whether the row tells of its tools) of five tasks."""
    actor = Actor([url], MULTI_STEP)
    try:
        lines = (library()["example_multi_step"] / "data" / "example.jsonl").read_text().splitlines()
        own = {"_ng_rollout_index": 0, "agent_ref": {"name": AGENT}}
        rows = [json.loads(line) | own | {"_rowidx": n, "_ng_task_index": n} for n, line in enumerate(lines)]
        results = asyncio.run(actor.run_rollouts(rows))
    finally:
        actor.rh.shutdown()
    return [
        (n, one["reward"], [item["type"] for item in one["response"]["output"]], bool(_tools(one)))
        for n, one in sorted(results.items())
    ]


def _tools(result: dict[str, Any]) -> Any:
    return result["responses_create_params"].get("tools")


def test_it_gives_the_rewards_that_this_packages_loop_gives(
    tmp_path: Path, start_endpoint: StartEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = start_endpoint("token_server.py")
    ours = rollouts(url)
    folder = tmp_path / "responses_api_agents" / "simple_agent"
    (folder / "prompts").mkdir(parents=True)
    (folder / "prompts" / "a.yaml").write_text("user: '{question}'\n")
    (folder / "app.py").write_text(LOOP)
    (folder / "requirements.txt").write_text("-e ../../\n")
    monkeypatch.chdir(tmp_path)
    existing = rollouts(url)
    assert [one[:3] for one in existing] == [one[:3] for one in ours]
    assert {one[1] for one in ours} == {1.0}
    assert all(one[3] for one in existing)


class Seeded:
    def __init__(self, body: Any, status: int = 200) -> None:
        self.status = status
        self._body = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def read(self) -> bytes:
        return self._body


def row(**params: Any) -> BaseRunRequest:
    return BaseRunRequest.model_validate({"responses_create_params": {"input": "q", **params}})


async def test_a_row_that_says_nothing_of_tools_takes_those_of_its_session() -> None:
    body = row()
    with tools_of_session(body):
        sent = seeding_row(body.model_dump())
        assert "tools" not in sent["responses_create_params"]
        await take_tools(Seeded({"tools": TOOLS}))  # type: ignore[arg-type]
    assert body.responses_create_params.tools == TOOLS
    assert body.model_dump(exclude_unset=True)["responses_create_params"]["tools"] == TOOLS


@pytest.mark.parametrize("own", [[], TOOLS])
async def test_a_row_with_tools_of_its_own_or_none_on_purpose_keeps_them(own: list[Any]) -> None:
    body = row(tools=own)
    with tools_of_session(body):
        assert seeding_row(body.model_dump()) == body.model_dump()
        await take_tools(Seeded({"tools": [{**TOOLS[0], "name": "other"}]}))  # type: ignore[arg-type]
    assert body.responses_create_params.tools == own


@pytest.mark.parametrize(
    "answer",
    [
        Seeded({}),
        Seeded({"tools": "look"}),
        Seeded({"tools": [{"type": "function"}, 5, {"name": "x"}]}),
        Seeded([1]),
        Seeded(b"\xff not json"),
        Seeded({"tools": TOOLS}, 500),
    ],
)
async def test_an_answer_that_offers_no_tools_changes_nothing(answer: Any) -> None:
    body = row()
    with tools_of_session(body):
        await take_tools(answer)
    assert body.responses_create_params.model_fields_set == {"input"}


@pytest.mark.parametrize("body", [None, MagicMock(), SimpleNamespace(responses_create_params={})])
async def test_outside_a_rollout_nothing_is_read_or_changed(body: Any) -> None:
    given = {"responses_create_params": {"tools": []}}
    with tools_of_session(body):
        assert seeding_row(given) is given
        await take_tools(MagicMock(status=200))
