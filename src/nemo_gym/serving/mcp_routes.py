"""The routes of a server whose tools can be called over MCP."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from nemo_gym.serving.mcp import PATH, ToolServer
from nemo_gym.wire.errors import UsageError


def tool_routes(tools: ToolServer, *, body_bytes: int) -> list[BaseRoute]:
    """The routes `/mcp` and `/mcp/`, to be placed before routes with any name.

    Args:
        body_bytes: bytes of the largest request.

    Raises:
        UsageError: the SDK is not installed.
    """
    try:
        from nemo_gym.serving.mcp_endpoint import McpEndpoint
    except ModuleNotFoundError:
        raise UsageError("serving tools over MCP needs the MCP SDK: pip install 'nemo-gym[mcp]'") from None
    endpoint: ASGIApp = McpEndpoint(tools, body_bytes=body_bytes)
    return [Route(path, endpoint, methods=["POST"]) for path in (PATH, f"{PATH}/")]
