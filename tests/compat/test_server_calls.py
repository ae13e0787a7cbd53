"""Servers of existing code calling one another over real HTTP: resources server, model server and agent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import ConfigDict
from servers.sample import message, response
from servers.weather.app import WeatherConfig, WeatherServer

from nemo_gym.compat import client, openai_utils
from nemo_gym.compat.base_responses_api_agent import (
    BaseResponsesAPIAgentConfig,
    BaseRunRequest,
    SimpleResponsesAPIAgent,
)
from nemo_gym.compat.base_responses_api_model import BaseResponsesAPIModelConfig, SimpleResponsesAPIModel
from nemo_gym.compat.config_types import BaseServerConfig, ConfigError, ModelServerRef, ResourcesServerRef
from nemo_gym.compat.openai_utils import (
    NeMoGymAsyncOpenAI,
    NeMoGymResponse,
    NeMoGymResponseCreateParamsNonStreaming,
)
from nemo_gym.compat.server_utils import DictConfig, ServerClient, get_response_json, raise_for_status
from nemo_gym.transport.retry import Retry


class CannedModel(SimpleResponsesAPIModel):
    config: BaseResponsesAPIModelConfig

    async def responses(self, body: NeMoGymResponseCreateParamsNonStreaming) -> NeMoGymResponse:
        if body.temperature == 2.0:
            raise RuntimeError("too hot")
        return NeMoGymResponse.model_validate(response(message("snow")) | {"model": body.model or "canned"})

    async def chat_completions(self, body: Any) -> Any:
        raise NotImplementedError


class OneShotConfig(BaseResponsesAPIAgentConfig):
    resources_server: ResourcesServerRef
    model_server: ModelServerRef


class OneShotRunRequest(BaseRunRequest):
    model_config = ConfigDict(extra="allow")


class OneShot(SimpleResponsesAPIAgent):
    config: OneShotConfig

    async def responses(self, request: Request, body: NeMoGymResponseCreateParamsNonStreaming) -> Any:
        path = self.url_path_for_request("/v1/responses", request)
        answer = await self.server_client.post(self.config.model_server.name, path, json=body)
        await raise_for_status(answer)
        return NeMoGymResponse.model_validate(await get_response_json(answer))

    async def run(self, request: Request, body: OneShotRunRequest) -> Any:
        server, row = self.config.resources_server.name, body.model_dump()
        seeded = await self.server_client.post(server, "/seed_session", json=row)
        await raise_for_status(seeded)
        made = await self.server_client.post(
            self.config.name,
            self.url_path_for_run("/v1/responses", body),
            json=body.responses_create_params,
            cookies=seeded.cookies,
        )
        await raise_for_status(made)
        row["response"] = await get_response_json(made)
        verified = await self.server_client.post(server, "/verify", json=row, cookies=seeded.cookies)
        await raise_for_status(verified)
        return await get_response_json(verified)


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncGenerator[int]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="on"))
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await running


def block(kind: str, name: str, **settings: Any) -> dict[str, Any]:
    return {kind: {name: {"entrypoint": "app.py", "host": "127.0.0.1", "port": 1, **settings}}}


@asynccontextmanager
async def system() -> AsyncGenerator[ServerClient]:
    weather = {"type": "resources_servers", "name": "weather"}
    model = {"type": "responses_api_models", "name": "policy_model"}
    config = DictConfig(
        {
            "weather": block("resources_servers", "weather"),
            "policy_model": block("responses_api_models", "canned"),
            "agent": block("responses_api_agents", "one_shot", resources_server=weather, model_server=model),
        }
    )
    caller = ServerClient(
        head_server_config=BaseServerConfig(host="127.0.0.1", port=1), global_config_dict=config
    )
    given = {"entrypoint": "app.py", "host": "127.0.0.1", "port": 1}
    servers = {
        "weather": WeatherServer(config=WeatherConfig(**given, name="weather"), server_client=caller),
        "policy_model": CannedModel(
            config=BaseResponsesAPIModelConfig(**given, name="policy_model"), server_client=caller
        ),
        "agent": OneShot(
            config=OneShotConfig(**given, name="agent", resources_server=weather, model_server=model),
            server_client=caller,
        ),
    }
    async with (
        serving(servers["weather"].served_app()) as config.weather.resources_servers.weather.port,
        serving(servers["policy_model"].served_app()) as config.policy_model.responses_api_models.canned.port,
        serving(servers["agent"].served_app()) as config.agent.responses_api_agents.one_shot.port,
    ):
        yield caller
        await client.get_global_aiohttp_client().close()


ROW = {
    "responses_create_params": {"input": "Weather?"},
    "expected": "snow",
    "_ng_task_index": 3,
    "_ng_rollout_index": 1,
}


async def test_an_agent_seeds_asks_and_verifies() -> None:
    async with system() as caller:
        answer = await caller.post("agent", "/run", json=ROW)
        assert answer.status == 200
        found = await get_response_json(answer)
        assert (found["reward"], found["asked"]) == (0.0, False)
        assert found["response"]["output"][0]["content"][0]["text"] == "snow"


async def test_paths_with_a_rollouts_prefix_reach_the_same_routes() -> None:
    async with system() as caller:
        for server in ("agent", "policy_model"):
            path = "/ng-rollout/3-1/training-token-capture/v1/responses"
            answer = await caller.post(server, path, json={"input": "x"})
            assert answer.status == 200


async def test_a_failure_names_each_server_on_its_way() -> None:
    async with system() as caller:
        hot = {**ROW, "responses_create_params": {"input": "x", "temperature": 2.0}}
        answer = await caller.post("agent", "/run", json=hot)
        assert answer.status == 500
        with pytest.raises(aiohttp.ClientResponseError) as caught:
            await raise_for_status(answer)
        words = caught.value.response_content.decode()  # type: ignore[attr-defined]
        assert "OneShot___agent" in words
        assert "too hot" in words


async def test_an_agent_hands_metrics_on_to_its_resources_server() -> None:
    async with system() as caller:
        rows = [{"_ng_task_index": 0, "_ng_rollout_index": 0, "reward": 1.0}]
        answer = await caller.post("agent", "/aggregate_metrics", json={"verify_responses": rows})
        assert (await get_response_json(answer))["key_metrics"] == {"mean/reward": 1.0}


async def test_every_server_is_alive_and_an_unknown_one_is_named() -> None:
    async with system() as caller:
        for name in ("weather", "policy_model", "agent"):
            assert await asyncio.to_thread(caller.poll_for_status, name) == "success"
        with pytest.raises(ConfigError, match="Did you mean 'weather'"):
            await caller.get("wether", "/")


async def test_a_dead_server_ends_the_call_within_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "CONNECTION_RETRY", Retry(attempts=3, budget=60.0, base=0.01, cap=0.01))
    config = DictConfig({"gone": block("resources_servers", "gone")})
    head = BaseServerConfig(host="127.0.0.1", port=1)
    caller = ServerClient(head_server_config=head, global_config_dict=config)
    with pytest.raises(aiohttp.ClientConnectorError):
        await caller.post("gone", "/verify", json={})
    assert await asyncio.to_thread(caller.poll_for_status, "gone") == "connection_error"
    with pytest.raises(ConfigError, match=r"no head server at http://127\.0\.0\.1:1"):
        ServerClient.load_from_global_config(head)
    await client.get_global_aiohttp_client().close()


async def test_the_configuration_is_loaded_from_the_head_server() -> None:
    app = FastAPI()
    app.get("/global_config_dict_yaml")(lambda: "a:\n  resources_servers:\n    b: {host: h, port: 2}\n")
    async with serving(app) as port:
        head = BaseServerConfig(host="127.0.0.1", port=port)
        loaded = await asyncio.to_thread(ServerClient.load_from_global_config, head)
    assert loaded.global_config_dict.a.resources_servers.b.port == 2


async def test_an_endpoint_that_pushes_back_is_asked_again_and_a_failing_one_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(openai_utils, "RETRY", Retry(attempts=4, budget=60.0, base=0.01, cap=0.01))
    statuses = iter([429, 503, 200] + [500] * 9)
    seen: list[dict[str, Any]] = []
    app = FastAPI()

    @app.post("/v1/chat/completions")
    async def answer(request: Request) -> Any:
        seen.append(await request.json() | {"key": request.headers["authorization"]})
        status = next(statuses)
        return JSONResponse({"status": status}, status)

    async with serving(app) as port:
        engine = NeMoGymAsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="secret-key")
        assert await engine.create_chat_completion(model="m", messages=[]) == {"status": 200}
        assert len(seen) == 3
        assert seen[0] == {"model": "m", "messages": [], "key": "Bearer secret-key"}
        with pytest.raises(aiohttp.ClientResponseError) as caught:
            await engine.create_chat_completion(model="m", messages=[])
        assert json.loads(caught.value.response_content) == {"status": 500}  # type: ignore[attr-defined]
        assert len(seen) == 6
        await client.get_global_aiohttp_client().close()
    assert "secret-key" not in repr(engine)


async def test_a_model_server_answers_in_dialects_and_streams_that_it_did_not_write() -> None:
    async with system() as caller:
        asked = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
        answer = await get_response_json(await caller.post("policy_model", "/v1/messages", json=asked))
        assert answer["content"][0] == {"type": "text", "text": "snow"}
        stream = await caller.post("policy_model", "/v1/responses", json={"input": "x", "stream": True})
        text = (await stream.read()).decode()
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert "response.completed" in text
        refused = await caller.post("policy_model", "/v1/responses", json={"input": "x", "strem": True})
        assert refused.status == 422
