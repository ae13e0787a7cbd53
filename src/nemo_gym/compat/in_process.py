"""A FastAPI app called in this process, without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from fastapi import FastAPI
from pyreqwest.http import HeaderMap
from starlette.types import ASGIApp, Message, Scope

from nemo_gym.environments.described import Description
from nemo_gym.environments.remote import RemoteEnvironment
from nemo_gym.transport.exchange import Reply
from nemo_gym.transport.service import Service

_URL = "http://in-process"


class InProcessEnvironment(RemoteEnvironment):
    """A resources server as a link, over its routes as always, but called and not sent to."""

    def __init__(self, app: FastAPI, *, steps: bool) -> None:
        super().__init__(_URL, about=Description(steps=steps))
        self._service = AppService(app)


class AppService(Service):
    """Answers of an app of this process. Its lifespan begins with the first request."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(_URL, "app")
        self._app = app
        self._lifespan = AsyncExitStack()
        self._started: asyncio.Task[None] | None = None

    async def post(
        self, path: str, body: bytes, *, cookies: dict[str, str] | None = None, repeatable: bool = False
    ) -> Reply:
        await self._start()
        reply = await exchange(self._app, path, body, cookies=cookies)
        if cookies is not None:
            cookies.update(reply.cookies)
        return reply

    async def aclose(self) -> None:
        await self._lifespan.aclose()
        await super().aclose()

    async def _start(self) -> None:
        if self._started is None:
            context = self._app.router.lifespan_context(self._app)
            self._started = asyncio.ensure_future(self._enter(context))
        await asyncio.shield(self._started)

    async def _enter(self, context: AbstractAsyncContextManager[object]) -> None:
        await self._lifespan.enter_async_context(context)


async def exchange(
    app: ASGIApp, path: str, body: bytes, *, cookies: Mapping[str, str] | None = None
) -> Reply:
    """The answer of an app to one POST of JSON."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if cookies:
        pairs = "; ".join(f"{name}={value}" for name, value in cookies.items())
        headers.append((b"cookie", pairs.encode()))
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "client": ("in-process", 0),
        "server": ("in-process", 80),
        "state": {},
    }
    sent = False
    answered = asyncio.Event()
    status = 500
    answer: list[tuple[str, str]] = []
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
            answer.extend(
                (name.decode("latin-1"), value.decode("latin-1")) for name, value in message["headers"]
            )
        elif message["type"] == "http.response.body":
            content.append(message.get("body", b""))
            if not message.get("more_body", False):
                answered.set()

    await app(scope, receive, send)
    return Reply(status, HeaderMap(answer), b"".join(content))
