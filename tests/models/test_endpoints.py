"""Endpoints by type name: their settings, hosted providers, and Azure."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.models.azure import AZURE_API_VERSION, AzureModel
from nemo_gym.models.endpoints import endpoint_model
from nemo_gym.models.presets import PROVIDERS
from nemo_gym.models.registry import build_model
from nemo_gym.models.replicas import ReplicatedModel
from nemo_gym.models.vllm import VllmModel
from nemo_gym.runs.component_specs import ModelSpec
from nemo_gym.wire.errors import UsageError

COMPLETION = {"choices": [{"message": {"content": "hi"}}]}


@asynccontextmanager
async def listener() -> AsyncIterator[tuple[str, list[tuple[str, dict[str, str], dict[str, Any]]]]]:
    """A base URL without a path, and the (path, headers, body) of every request made to it."""
    requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *rest = head.strip().split("\r\n")
        pairs = (line.split(": ", 1) for line in rest)
        headers = {name.lower(): value for name, value in pairs}
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        requests.append((first.split(" ")[1], headers, body))
        data = json.dumps(COMPLETION).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", requests


async def sent(type: str, path: str = "", **options: Any) -> tuple[str, dict[str, str], dict[str, Any]]:
    async with listener() as (url, requests), endpoint_model(type, [url + path], "m", **options) as model:
        response = await model.responses({"input": "x", "max_output_tokens": 5})
    assert response.output_text == "hi"
    return requests[0]


class TestAzure:
    async def test_the_key_has_its_own_header_and_the_version_is_in_the_query(self) -> None:
        path, headers, body = await sent("azure", api_key="secret")
        assert path == f"/openai/deployments/m/chat/completions?api-version={AZURE_API_VERSION}"
        assert headers["api-key"] == "secret"
        assert "authorization" not in headers
        assert body["max_completion_tokens"] == 5
        assert "max_tokens" not in body

    async def test_another_version_and_base(self) -> None:
        settings = {"api_version": "2025-01-01-preview"}
        path, _, _ = await sent("azure", "/openai/deployments/other", api_key="k", settings=settings)
        assert path == "/openai/deployments/other/chat/completions?api-version=2025-01-01-preview"

    async def test_the_undated_routes_take_no_version(self) -> None:
        path, _, _ = await sent("azure", "/openai/v1", api_key="k")
        assert path == "/openai/v1/chat/completions"


class TestProviders:
    async def test_the_key_is_a_bearer_token_and_the_url_can_be_another(self) -> None:
        path, headers, body = await sent("openrouter", "/api/v1", api_key="secret")
        assert path == "/api/v1/chat/completions"
        assert headers["authorization"] == "Bearer secret"
        assert body["max_tokens"] == 5

    @pytest.mark.parametrize("name", PROVIDERS)
    async def test_url_and_key_are_known(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        for variable in PROVIDERS[name].key_variables:
            monkeypatch.delenv(variable, raising=False)
        with pytest.raises(
            UsageError, match=rf"'{name}' needs a key: set {PROVIDERS[name].key_variables[0]}"
        ):
            endpoint_model(name, [], "m")
        monkeypatch.setenv(PROVIDERS[name].key_variables[-1], "secret")
        model: Any = endpoint_model(name, [], "m")
        assert model.endpoint.url == PROVIDERS[name].url

    def test_the_documentation_names_them_all(self) -> None:
        text = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
        assert [name for name in PROVIDERS if f"`{name}`" not in text] == []


class TestSettings:
    async def test_extras_and_headers_go_with_every_request(self) -> None:
        settings = {"extra_body": {"top_k": 3}, "default_headers": {"x-team": "blue"}}
        _, headers, body = await sent("chat", settings=settings)
        assert body["top_k"] == 3
        assert headers["x-team"] == "blue"

    @pytest.mark.parametrize(
        ("type", "urls", "name", "settings", "message"),
        [
            ("chat", [], "m", {}, "'chat' needs a URL$"),
            ("vllm", [], "", {}, "'vllm' needs a URL and a name"),
            ("chat", ["http://h"], "m", {"extra_bdy": {}}, "no setting 'extra_bdy'.* 'extra_body'"),
            ("chat", ["http://h"], "m", {"extra_body": 1}, "settings of model type 'chat': .*object"),
            ("chat", ["ftp://h"], "m", {}, "model URL"),
        ],
    )
    def test_what_is_missing_or_wrong_is_named(
        self, type: str, urls: list[str], name: str, settings: Any, message: str
    ) -> None:
        with pytest.raises(UsageError, match=message):
            endpoint_model(type, urls, name, settings=settings)


class TestRegistry:
    def build(self, **options: Any) -> Any:
        return ModelSpec(**options).build(link=None)  # type: ignore[arg-type]

    def test_types_and_aliases(self) -> None:
        common = {"url": "http://localhost:1", "name": "m", "api_key": "k"}
        assert isinstance(self.build(type="vllm_model", **common), VllmModel)
        assert isinstance(self.build(type="azure_openai_model", **common), AzureModel)
        two = {**common, "url": ("http://localhost:1", "http://localhost:2")}
        assert isinstance(self.build(type="together", **two), ReplicatedModel)

    def test_a_model_without_settings_takes_none(self) -> None:
        with pytest.raises(UsageError, match="'random' has no settings, but seed is given"):
            self.build(type="random", settings={"seed": 1})

    def test_a_provider_is_among_the_suggestions(self) -> None:
        link: Any = None
        with pytest.raises(UsageError, match="Did you mean 'openrouter'"):
            build_model("open_router", link=link)

    def test_what_is_written_down_holds_no_secret(self) -> None:
        settings = {"default_headers": {"authorization": "secret"}, "extra_body": {"top_k": 1}}
        spec = ModelSpec(type="vllm", url=("http://a", "http://b"), api_key="secret", settings=settings)
        assert spec.public() == {
            "type": "vllm",
            "name": "",
            "url": ["http://a", "http://b"],
            "settings": {"extra_body": {"top_k": 1}},
        }
