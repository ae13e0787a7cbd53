"""Calls an ASGI app of this process without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Scope
from wreq import HeaderMap

from nemo_gym.environments.openapi_description import Description
from nemo_gym.environments.remote import RemoteEnvironment
from nemo_gym.transport.exchange import Body, Connections, NoAnswer, Reply
from nemo_gym.transport.service import Service


class AppEnvironment(RemoteEnvironment):
    """A link to a resources server of this process, over its routes but without sockets."""

    def __init__(self, connections: AppConnections, about: Description) -> None:
        super().__init__(connections.url, about=about)
        self._service = AppService(connections)


class AppService(Service):
    """A `Service` of an app of this process."""

    def __init__(self, connections: AppConnections) -> None:
        super().__init__(connections.url, "app")
        self._connections = connections


class AppConnections(Connections):
    """Takes the place of connections for an app of this process. The caller runs the lifespan of the app.

    Args:
        token: sent as a bearer token.
    """

    def __init__(self, app: Starlette, *, token: str = "") -> None:
        super().__init__("http://in-process")
        self._app = app
        self._own_headers = {"authorization": f"Bearer {token}"} if token else {}

    async def exchange(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        within: float | None = None,
        max_answer: int | None = None,
    ) -> Reply:
        state = await self._state()
        content = b"".join([part async for part in body()]) if callable(body) else body or b""
        all_headers = {**self._own_headers, **(headers or {})}
        try:
            async with asyncio.timeout(within):
                return await exchange(
                    self._app, path, content, method=method, headers=all_headers, state=state
                )
        except TimeoutError:
            raise NoAnswer(f"no answer within {within} s", sent=True, late=True) from None

    async def _state(self) -> Mapping[str, Any]:
        """The state that the lifespan yields; the host of the app stores it there."""
        return getattr(self._app.state, "lifespan_state", {})


async def exchange(
    app: ASGIApp,
    path: str,
    body: bytes,
    *,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    state: Mapping[str, Any] | None = None,
) -> Reply:
    """The answer of an app to one request with JSON; `state` is the state of its lifespan."""
    all_headers = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in all_headers.items()],
        "client": ("in-process", 0),
        "server": ("in-process", 80),
        "state": dict(state or {}),
    }
    has_body = True
    end = asyncio.Event()
    status = 500
    answer = HeaderMap()
    content: list[bytes] = []

    async def receive() -> Message:
        nonlocal has_body
        if has_body:
            has_body = False
            return {"type": "http.request", "body": body, "more_body": False}
        await end.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            for name, value in message["headers"]:
                answer.append(name.decode("latin-1"), value.decode("latin-1"))
        elif message["type"] == "http.response.body":
            content.append(message.get("body", b""))
            if not message.get("more_body", False):
                end.set()

    await app(scope, receive, send)
    return Reply(status, answer, b"".join(content))
