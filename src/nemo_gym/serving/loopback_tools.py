"""The tools of an environment over MCP on loopback, for programs as agents."""

from __future__ import annotations

import importlib.util

from starlette.applications import Starlette
from starlette.middleware import Middleware

from nemo_gym.environments.link import EnvironmentLink, LocalEnvironment
from nemo_gym.serving.environment_tools import OfferedEnvironment, OfferedTools
from nemo_gym.serving.errors import ErrorForms
from nemo_gym.serving.host import LoopbackServer
from nemo_gym.serving.limits import LimitRequests, Limits
from nemo_gym.serving.mcp_routes import tool_routes
from nemo_gym.serving.secrets import Secret


def open_tools(link: EnvironmentLink) -> EnvironmentLink:
    """The environment with the tools of each session at a port for programs of this machine.

    The link stays as it is for an environment elsewhere, for one with steps, and without the MCP SDK.
    """
    if not isinstance(link, LocalEnvironment) or link.steps or importlib.util.find_spec("mcp") is None:
        return link
    return LoopbackTools(link)


class LoopbackTools(OfferedEnvironment):
    """A link whose sessions have their tools at a port of 127.0.0.1, opened with the first session."""

    def __init__(self, link: LocalEnvironment) -> None:
        super().__init__(link, OfferedTools(link, link.environment.name(), Secret.random()), "")
        self._server = LoopbackServer("tools", self._app)

    async def aclose(self) -> None:
        await self._server.aclose()
        await super().aclose()

    async def url(self) -> str:
        return await self._server.url()

    def _app(self) -> Starlette:
        limits = Limits()
        middleware = [Middleware(ErrorForms, label="tools"), Middleware(LimitRequests, limits=limits)]
        return Starlette(
            routes=tool_routes(self._tools.server, body_bytes=limits.body_bytes), middleware=middleware
        )
