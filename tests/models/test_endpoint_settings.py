"""The original's model servers by their names in YAML: what each of their settings makes of a request."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from nemo_gym.models.base import Model
from nemo_gym.models.call_limit import LimitedModel
from nemo_gym.runs.component_specs import ModelSpec
from nemo_gym.wire.errors import GymError
from nemo_gym.wire.items import assistant, user
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response
from tests.serving.loopback import served

THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
HISTORY: Any = [user("x"), THOUGHT, assistant("y"), user("z")]
COMPLETION = {"object": "chat.completion", "choices": [{"message": {"content": "hi"}}]}
MESSAGE = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}
RESPONSE = {"object": "response", "output": [MESSAGE]}


@asynccontextmanager
async def endpoint(
    answers: dict[str, Any] | None = None, version: str = ""
) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """An endpoint with both OpenAI routes and the version of LiteLLM; its URL, and what it was asked."""
    bodies: list[dict[str, Any]] = []
    usual = {"/v1/responses": RESPONSE, "/v1/chat/completions": COMPLETION} | (answers or {})

    async def answer(request: Request) -> JSONResponse:
        bodies.append({"path": request.url.path, **await request.json()})
        return JSONResponse(usual[request.url.path])

    async def details(_: Request) -> JSONResponse:
        return JSONResponse({"litellm_version": version} if version else "?")

    routes = [Route(path, answer, methods=["POST"]) for path in usual]
    app = Starlette(routes=[*routes, Route("/health/readiness/details", details)])
    async with served(app) as url:
        yield url, bodies


def opened(implementation: str, url: str, **settings: Any) -> Model:
    """The model of an instance."""
    prefix = "openai_" if implementation in ("openai_model", "litellm_model") else ""
    common = {"base_url": f"{url}/v1", "api_key": "k", "model": "m"}
    named = {f"{prefix}{key}": value for key, value in common.items()}
    return ModelSpec.of_instance(implementation, named | settings).build(None)


async def sent(implementation: str, params: Any, **settings: Any) -> dict[str, Any]:
    async with endpoint() as (url, bodies), opened(implementation, url, **settings) as model:
        assert (await model.responses(params)).output_text == "hi"
    return bodies[0]


class TestOpenai:
    async def test_extras_lie_under_the_request_and_the_rows_own_over_it(self) -> None:
        extra = {"temperature": 0.1, "top_k": 1, "seed": 1, "model": "other"}
        params = {"input": "x", "temperature": 1.0, "metadata": {"extra_body": '{"seed": 2}', "a": "b"}}
        body = await sent("openai_model", params, extra_body=extra)
        assert body == {
            "path": "/v1/responses",
            "input": "x",
            "model": "m",
            "temperature": 1.0,
            "top_k": 1,
            "seed": 2,
            "metadata": {"a": "b"},
        }

    async def test_past_reasoning_can_be_left_out(self) -> None:
        body = await sent("openai_model", {"input": HISTORY}, drop_input_reasoning_items=True)
        assert [item["role"] for item in body["input"]] == ["user", "assistant", "user"]

    async def test_only_so_many_calls_are_under_way(self) -> None:
        counting = Counting()
        model = LimitedModel(counting, 2)
        async with asyncio.TaskGroup() as group:
            for number in range(6):
                group.create_task(model.for_session_id(str(number)).responses({"input": "x"}))
            group.create_task(model.responses({"input": "x"}))
        assert counting.most == 2

    @pytest.mark.parametrize("name", ["max_concurrent_requests", "num_concurrent_requests"])
    def test_both_names_of_the_limit_are_understood(self, name: str) -> None:
        settings: dict[str, Any] = {name: 8}
        assert isinstance(opened("openai_model", "http://localhost:1", **settings), LimitedModel)


class Counting(Model):
    """Counts the calls that are under way."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def responses(self, params: RequestParams) -> Response:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        return Response.of([])


class TestInferenceProvider:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({}, {"content": "<think>hm</think>y"}),
            ({"uses_reasoning_parser": True}, {"content": "y", "reasoning_content": "hm"}),
        ],
    )
    async def test_past_reasoning(self, settings: Any, message: Any) -> None:
        body = await sent("inference_provider", {"input": HISTORY}, **settings)
        assert body["path"] == "/v1/chat/completions"
        assert body["messages"][1] == {"role": "assistant", **message}


class TestLitellm:
    @pytest.mark.parametrize(
        "answer",
        [
            COMPLETION,
            {"object": "chat.completion", "output": [MESSAGE]},
            RESPONSE | {"reasoning": {"effort": "none"}},
        ],
    )
    async def test_whatever_the_proxy_answers_is_a_response(self, answer: Any) -> None:
        async with (
            endpoint({"/v1/responses": answer}) as (url, _),
            opened("litellm_model", url) as model,
        ):
            response = await model.responses({"input": "x"})
        assert response.output_text == "hi"
        assert response.data["object"] == "response"
        assert response.data.get("reasoning") is None

    async def test_it_can_be_asked_for_chat_alone(self) -> None:
        body = await sent("litellm_model", {"input": "x"}, chat_only=True)
        assert body["path"] == "/v1/chat/completions"

    @pytest.mark.parametrize("version", ["1.82.7", "1.82.8", "1.9.0"])
    @pytest.mark.parametrize("chat_only", [True, False])
    async def test_a_dangerous_version_is_refused(self, version: str, chat_only: bool) -> None:
        async with (
            endpoint(version=version) as (url, _),
            opened("litellm_model", url, chat_only=chat_only) as model,
        ):
            with pytest.raises(GymError, match=rf"{version}: use 1\.83\.0 or newer"):
                await model.check()

    @pytest.mark.parametrize("version", ["1.83.0", "1.90.2.dev1", "", "nightly"])
    async def test_any_other_passes(self, version: str) -> None:
        async with endpoint(version=version) as (url, _), opened("litellm_model", url) as model:
            await model.check()


async def test_azure_takes_its_version_from_the_default_query() -> None:
    spec = ModelSpec.of_instance(
        "azure_openai_model",
        {
            "openai_base_url": "https://r.openai.azure.com",
            "openai_api_key": "k",
            "openai_model": "d",
            "default_query": {"api-version": "2025-01-01"},
            "num_concurrent_requests": 8,
        },
    )
    model = spec.build(None)
    assert isinstance(model, LimitedModel)
    assert vars(model.inner)["path"] == "/chat/completions?api-version=2025-01-01"
    await model.aclose()


async def test_native_vllm_gets_the_template_arguments() -> None:
    settings = {"is_responses_native": True, "chat_template_kwargs": {"a": 1}, "uses_reasoning_parser": False}
    body = await sent("vllm_model", {"input": "x"}, return_token_id_information=False, **settings)
    assert (body["path"], body["chat_template_kwargs"]) == ("/v1/responses", {"a": 1})


def test_only_the_type_that_is_wanted_is_loaded() -> None:
    script = (
        "import sys\n"
        "from nemo_gym.models.registry import build_model\n"
        "from nemo_gym.agents.registry import find_agent\n"
        "find_agent('tool_loop')\n"
        "build_model('chat', name='m', url='http://h/v1')\n"
        "print([name.rpartition('.')[2] for name in sys.modules if name.startswith('nemo_gym.')])\n"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(json.loads(printed.stdout.replace("'", '"')))
    assert not loaded & {"anthropic", "vllm", "embedded", "baselines", "command", "azure"}
    assert {"chat", "tool_loop"} <= loaded
