"""The endpoint `/mcp`: streamable HTTP by the official SDK. Only imported when tools are served over MCP."""

from __future__ import annotations

from typing import Any, Final, cast

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from msgspec import DecodeError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from nemo_gym import __version__
from nemo_gym.runs.collect import innermost
from nemo_gym.serving.mcp import TOKEN_HEADER, ToolAnswer, ToolServer
from nemo_gym.wire.jsonl import decode
from nemo_gym.wire.params import FunctionTool

_Context = ServerRequestContext[dict[str, Any], Request]


class McpEndpoint:
    """ASGI app with JSON answers. It has no state, so that any process of a server can answer."""

    def __init__(self, tools: ToolServer, *, body_bytes: int) -> None:
        self._tools = tools
        self._body_bytes = body_bytes
        self._server: Server[dict[str, Any]] = Server(
            tools.server_name,
            version=__version__,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            get_tool_input_schema=self._input_schema,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        manager = StreamableHTTPSessionManager(
            self._server, json_response=True, stateless=True, max_request_body_size=self._body_bytes
        )
        try:
            async with manager.run():
                await manager.handle_request(scope, receive, send)
        except BaseExceptionGroup as group:
            refusal = group.subgroup(HTTPException)
            raise group if refusal is None else innermost(refusal) from None

    async def _list_tools(
        self, context: _Context, _: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_tool(tool) for tool in self._tools.tools_for(_token(context))])

    async def _call_tool(
        self, context: _Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        return _result(await self._tools.call(_token(context), params.name, params.arguments or {}))

    def _input_schema(self, name: str) -> dict[str, Any] | None:
        """None: no tool asks for arguments in headers, so the SDK has nothing to compare."""
        return None


def _token(context: _Context) -> str | None:
    return context.request.headers.get(TOKEN_HEADER) if context.request is not None else None


def _tool(tool: FunctionTool) -> types.Tool:
    return types.Tool(
        name=tool.get("name", ""),
        description=tool.get("description"),
        input_schema={**_ANYTHING, **tool.get("parameters", {})},
    )


def _result(answer: ToolAnswer) -> types.CallToolResult:
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=answer.text)],
        structured_content=None if answer.is_error else _structured(answer.text),
        is_error=answer.is_error,
    )


def _structured(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        value: Any = decode(text)
    except (DecodeError, UnicodeError, RecursionError):
        return None
    return cast("dict[str, Any]", value)


_ANYTHING: Final = {"type": "object"}
