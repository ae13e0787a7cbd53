"""One server of every kind on loopback, in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager
from unittest.mock import MagicMock
from urllib.parse import urlsplit

from fastapi import FastAPI

from nemo_gym.agents.tool_loop import ToolLoop
from nemo_gym.compat.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)
from nemo_gym.compat.server_utils import ServerClient
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.library.agent.example_mcp_weather.environment import McpWeather
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.sandbox import SandboxPool
from nemo_gym.serving.agent_app import agent_app
from nemo_gym.serving.environment_app import environment_app
from nemo_gym.serving.environment_tools import OfferedTools
from nemo_gym.serving.head import head_app
from nemo_gym.serving.host import Host
from nemo_gym.serving.loopback_model import LoopbackModel
from nemo_gym.serving.loopback_tools import LoopbackTools
from nemo_gym.serving.model_app import model_app
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.sandbox_app import sandbox_app
from nemo_gym.serving.secrets import Secret
from nemo_gym.serving.sockets import bind

KINDS = {
    "head": "/server_instances",
    "environment": "/verify",
    "mcp": "/mcp",
    "agent": "/run",
    "model": "/v1/responses",
    "fastapi": "/verify",
    "model_door": "/v1/responses",
    "tools_door": "/mcp",
    "sandboxes": "/sandboxes/orders",
}
"""Every kind of server, and a path where something could be started or read."""

touched: list[str] = []
"""What was called in one of the servers: the model, or a route of the FastAPI server."""


class Verifier(SimpleResourcesServer):
    """A server as people write it for the original package."""

    config: BaseResourcesServerConfig

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/forget")(self.forget)
        return app

    async def verify(self, body: BaseVerifyRequest) -> BaseVerifyResponse:
        touched.append("/verify")
        return BaseVerifyResponse(**body.model_dump(), reward=1.0)

    async def forget(self) -> dict[str, bool]:
        touched.append("/forget")
        return {"forgotten": True}


@contextmanager
def every_server() -> Generator[dict[str, int]]:
    """The ports by kind, while the block runs."""
    ports: dict[str, int] = {}
    loop = asyncio.new_event_loop()
    up, stop = threading.Event(), asyncio.Event()

    async def live() -> None:
        async with AsyncExitStack() as opened:
            try:
                await _start(ports, opened)
            finally:
                up.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(live(),))
    thread.start()
    try:
        assert up.wait(30)
        assert "tools_door" in ports, "see above why the servers did not start"
        yield ports
    finally:
        if thread.is_alive():
            loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def _reply(_: object) -> str:
    touched.append("the model")
    return "yes"


async def _start(ports: dict[str, int], opened: AsyncExitStack) -> None:
    host, sandboxes, options = Host(), Host(files=True), AppOptions()
    link, model = LocalEnvironment(McpWeather()), ScriptedModel(_reply)
    settings = {"host": "127.0.0.1", "port": 1, "entrypoint": "app.py", "name": "old", "domain": "math"}
    old = Verifier(config=BaseResourcesServerConfig(**settings), server_client=MagicMock(spec=ServerClient))
    offered = OfferedTools(link, "weather", Secret.random())
    apps = {
        "head": head_app({}, list, options),
        "environment": environment_app(link, "weather", options, mcp_tools=offered),
        "agent": agent_app(ToolLoop(), link, model, "agent", options),
        "model": model_app(model, name="model", options=options),
        "fastapi": old.served_app(),
    }
    apps["sandboxes"] = sandbox_app(SandboxPool(), options)
    for name, app in apps.items():
        listener = bind("127.0.0.1", 0, name)
        ports[name] = listener.getsockname()[1]
        await (sandboxes if name == "sandboxes" else host).serve(name, app, listener)
    for one in (host, sandboxes):
        opened.push_async_callback(one.stop, list(apps), grace_s=1.0)
    ports["mcp"] = ports["environment"]
    served = await opened.enter_async_context(LoopbackModel(model))
    visit = await opened.enter_async_context(served.visit("0-0", {}))
    ports["model_door"] = urlsplit(visit.base_url).port or 0
    tools = LoopbackTools(LocalEnvironment(McpWeather()))
    opened.push_async_callback(tools.aclose)
    ports["tools_door"] = urlsplit(await tools.url()).port or 0
