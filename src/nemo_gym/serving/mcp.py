"""The tools of one server over MCP: session tokens and the tools that they allow."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec
from itsdangerous import BadData, URLSafeSerializer

from nemo_gym.serving.secrets import Secret
from nemo_gym.wire.params import FunctionTool
from nemo_gym.wire.response import Response

TOKEN_HEADER: Final = "X-NeMo-Gym-Session-Token"
PATH: Final = "/mcp"

log = logging.getLogger("nemo_gym.serving.mcp")


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """The answer to a tool call."""

    text: str
    is_error: bool = False


class ToolSource(Protocol):
    """Lists tools and runs them."""

    def tools(self, session_id: str | None) -> Sequence[FunctionTool]:
        """The tools of a session; without a session, those of the server."""
        ...

    async def call(self, session_id: str, name: str, arguments: dict[str, Any]) -> ToolAnswer:
        """Run one of the tools of a session."""
        ...


class Grant(msgspec.Struct, frozen=True):
    """The content of a session token."""

    sid: str
    tools: list[str] | None
    """The tools that may be called; None for all."""

    def allows(self, name: str) -> bool:
        return self.tools is None or name in self.tools


class ToolServer:
    """The tools of a server, for clients with the token of a session.

    Args:
        server_name: the name of the server for MCP clients.
        secret: signs the tokens; the same in all processes that serve it.
    """

    def __init__(self, server_name: str, source: ToolSource, secret: Secret) -> None:
        self.server_name = server_name
        self._source = source
        self._tokens = URLSafeSerializer(secret.reveal(), salt="nemo_gym.mcp.session")
        plain_name = re.sub(r"[^A-Za-z0-9_-]", "_", server_name)
        self._prefixes = tuple({f"mcp__{server_name}__", f"mcp__{plain_name}__"})

    def access(self, session_id: str, allowed: Iterable[str] | None) -> dict[str, Any]:
        """The address and the token of a session's tools: `mcp` in the answer of `/seed_session`.

        Args:
            allowed: the names of the tools that may be called; None for all.
        """
        grant = {"sid": session_id, "tools": None if allowed is None else list(allowed)}
        return {
            "server_name": self.server_name,
            "url_path": PATH,
            "transport": "http",
            "headers": {TOKEN_HEADER: self._tokens.dumps(grant)},
        }

    def tools_for(self, token: str | None) -> list[FunctionTool]:
        """The tools that a token allows; without a valid token, all."""
        grant = self._read(token)
        if grant is None:
            return list(self._source.tools(None))
        return [tool for tool in self._source.tools(grant.sid) if grant.allows(tool.get("name", ""))]

    async def call(self, token: str | None, name: str, arguments: dict[str, Any]) -> ToolAnswer:
        """Run a tool in the session of a token. A problem becomes an answer for the caller."""
        if token is None:
            return ToolAnswer(
                f"a call needs the header {TOKEN_HEADER}, which /seed_session answers with", True
            )
        grant = self._read(token)
        if grant is None:
            return ToolAnswer(f"Invalid {TOKEN_HEADER}: this server did not issue it in this run", True)
        names = [tool.get("name", "") for tool in self._source.tools(grant.sid)]
        if name not in names or not grant.allows(name):
            available = ", ".join(name for name in names if grant.allows(name)) or "none"
            problem = (
                f"{name!r} is not allowed in this session" if name in names else f"Unknown tool {name!r}"
            )
            return ToolAnswer(f"{problem}. Available tools: {available}", True)
        try:
            return await self._source.call(grant.sid, name, arguments)
        except Exception as error:
            log.exception("%s: tool %s", self.server_name, name)
            return ToolAnswer(f"{name} failed: {type(error).__name__}: {error}", True)

    def own_name(self, name: str) -> str:
        """`<tool>` for `mcp__<server>__<tool>`, the name that clients use."""
        for prefix in self._prefixes:
            if name.startswith(prefix):
                return name.removeprefix(prefix) or name
        return name

    def own_names(self, response: Response) -> Response:
        """The response with this server's own tool names in its calls."""
        output = [self._with_own_name(item) for item in response.data["output"]]
        if output == response.data["output"]:
            return response
        return Response({**response.data, "output": output})

    def _with_own_name(self, item: dict[str, Any]) -> dict[str, Any]:
        name = item.get("name") if item.get("type") == "function_call" else None
        return {**item, "name": self.own_name(name)} if isinstance(name, str) else item

    def _read(self, token: str | None) -> Grant | None:
        try:
            return None if token is None else msgspec.convert(self._tokens.loads(token), Grant)
        except (BadData, msgspec.ValidationError):
            return None
