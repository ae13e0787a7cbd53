"""The tools of an environment over MCP, for programs that act in its sessions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4
from weakref import WeakValueDictionary

from nemo_gym.environments.link import LocalEnvironment, WrappedLink
from nemo_gym.environments.session import Session
from nemo_gym.environments.tool import is_tool_error
from nemo_gym.serving.mcp import PATH, TOKEN_HEADER, ToolAnswer, ToolServer
from nemo_gym.serving.secrets import Secret
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import function_call
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.params import FunctionTool
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward
from nemo_gym.wire.task import Row


class OfferedTools:
    """The tools of an environment behind a `ToolServer`. A token belongs to one session.

    Args:
        name: the name of the instance and of the MCP server.
        secret: signs the session tokens.

    Raises:
        UsageError: the environment has the reset/step form.
    """

    def __init__(self, link: LocalEnvironment, name: str, secret: Secret) -> None:
        if link.steps:
            raise UsageError(
                f"{name}: {link.environment.name()} has reset and step, and no tools to expose over MCP"
            )
        self.server = ToolServer(name, self, secret)
        self._link = link
        self._sessions = WeakValueDictionary[str, Session]()

    def allowed(self, row: Row) -> list[str] | None:
        """The names of the tools that may be called for a row; None for all."""
        return self._link.environment.mcp_allowed_tools_for_session(row)

    def offer(self, id: str, session: Session, allowed: list[str] | None) -> dict[str, Any]:
        """The address and the token of a session's tools (`ToolServer.access`); `id` is in the token."""
        self._sessions[id] = session
        return self.server.access(id, allowed)

    def tools(self, session_id: str | None) -> Sequence[FunctionTool]:
        session = self._sessions.get(session_id) if session_id is not None else None
        return self._link.tools if session is None else session.tools

    async def call(self, session_id: str, name: str, arguments: dict[str, Any]) -> ToolAnswer:
        session = self._sessions.get(session_id)
        if session is None or not self._link.is_open(session):
            return ToolAnswer("this session is not open any more", True)
        text = await self._link.call(session, function_call(name, encode(arguments).decode(), call_id=""))
        return ToolAnswer(text, is_tool_error(text))


class OfferedEnvironment(WrappedLink):
    """A link to an environment of this process; `state["mcp"]` of a session has the address of its tools.

    Args:
        tools: the tools of the environment.
        url: base URL of the server of the tools.
        bearer: the bearer token of this server.
    """

    def __init__(self, link: LocalEnvironment, tools: OfferedTools, url: str, *, bearer: str = "") -> None:
        super().__init__(link)
        self.environment = link.environment
        self._tools = tools
        self._url = url
        self._bearer = bearer

    @asynccontextmanager
    async def session(self, row: Row) -> AsyncGenerator[Session]:
        allowed = self._tools.allowed(row)
        async with self._link.session(row) as session:
            if session.tools:
                token = self._tools.offer(uuid4().hex, session, allowed)["headers"][TOKEN_HEADER]
                url = f"{await self.url()}{PATH}"
                session.state["mcp"] = {"url": url, "token": token, "bearer": self._bearer}
            yield session

    async def url(self) -> str:
        """Base URL of the server that serves the tools."""
        return self._url

    async def verify(self, session: Session, response: Response) -> Reward:
        return await self._link.verify(session, self._tools.server.own_names(response))
