"""An ASGI app of this process called without sockets."""

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
    """A resources server as a link, over its routes as always, but called and not sent to."""

    def __init__(self, connections: AppConnections, about: Description) -> None:
        super().__init__(connections.url, about=about)
        self._service = AppService(connections)


class AppService(Service):
    """A `Service` of an app of this process."""

    def __init__(self, connections: AppConnections) -> None:
        super().__init__(connections.url, "app")
        self._connections = connections


class AppConnections(Connections):
    """What stands for connections to an app of this process, whose lifespan somebody else tends.

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
        state = await self._begun()
        content = b"".join([part async for part in body()]) if callable(body) else body or b""
        all_headers = {**self._own_headers, **(headers or {})}
        try:
            async with asyncio.timeout(within):
                return await exchange(
                    self._app, path, content, method=method, headers=all_headers, state=state
                )
        except TimeoutError:
            raise NoAnswer(f"no answer within {within} s", sent=True, late=True) from None

    async def _begun(self) -> Mapping[str, Any]:
        """What the lifespan yielded, for `request.state`; its host leaves that with the app."""
        return getattr(self._app.state, "begun_with", {})


async def exchange(
    app: ASGIApp,
    path: str,
    body: bytes,
    *,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    state: Mapping[str, Any] | None = None,
) -> Reply:
    """The answer of an app to one request with JSON; `state` is what its lifespan yielded."""
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
    sent = False
    answered = asyncio.Event()
    status = 500
    answer = HeaderMap()
    content: list[bytes] = []

    async def receive() -> Message:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}
        await answered.wait()
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
                answered.set()

    await app(scope, receive, send)
    return Reply(status, answer, b"".join(content))
