"""The tools of an environment over MCP on loopback, for programs as agents."""

from __future__ import annotations

import asyncio
import importlib.util
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware

from nemo_gym.environments.link import EnvironmentLink, LocalEnvironment
from nemo_gym.serving.environment_tools import OfferedEnvironment, OfferedTools
from nemo_gym.serving.errors import ErrorForms
from nemo_gym.serving.host import Host
from nemo_gym.serving.limits import LimitRequests, Limits
from nemo_gym.serving.mcp_routes import tool_routes
from nemo_gym.serving.secrets import Secret
from nemo_gym.serving.sockets import bind, http_url


def open_tools(link: EnvironmentLink) -> EnvironmentLink:
    """The same environment with the tools of each session within reach of programs on this machine.

    Left as it is where there is nothing to offer, where its own server does, or without the MCP SDK.
    """
    if not isinstance(link, LocalEnvironment) or link.steps or importlib.util.find_spec("mcp") is None:
        return link
    return LoopbackTools(link)


class LoopbackTools(OfferedEnvironment):
    """A link whose sessions have their tools at a port of 127.0.0.1, opened with the first of them."""

    def __init__(self, link: LocalEnvironment) -> None:
        super().__init__(link, OfferedTools(link, link.environment.name(), Secret.random()), "")
        self._host = Host()
        self._starting = asyncio.Lock()

    async def aclose(self) -> None:
        await self._host.stop([_NAME], grace_s=1.0)
        await super().aclose()

    async def url(self) -> str:
        async with self._starting:
            if not self._url:
                app = self._app()
                listener = bind("127.0.0.1", 0, "tools over MCP")
                await self._host.serve(_NAME, app, listener)
                self._url = http_url("127.0.0.1", listener.getsockname()[1])
        return self._url

    def _app(self) -> Starlette:
        limits = Limits()
        middleware = [Middleware(ErrorForms, label=_NAME), Middleware(LimitRequests, limits=limits)]
        return Starlette(
            routes=tool_routes(self._offered.server, body_bytes=limits.body_bytes), middleware=middleware
        )


_NAME: Final = "tools"
