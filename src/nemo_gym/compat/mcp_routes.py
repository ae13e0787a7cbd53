"""Calls routes of a FastAPI app for MCP clients, and changes the bodies of two routes for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nemo_gym.compat.handlers import object_in
from nemo_gym.serving.in_process import exchange
from nemo_gym.serving.mcp import ToolAnswer, ToolServer
from nemo_gym.serving.sessions import SESSION_ID_KEY
from nemo_gym.wire import keys
from nemo_gym.wire.json_values import object_of
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.masking import without_secrets
from nemo_gym.wire.params import FunctionTool

AllowedTools = Callable[[dict[str, Any]], list[str] | None]


class RouteTools:
    """Routes as tools. A call is one request to the route itself, without the app's middleware.

    Args:
        app: the app that handlers see as `request.app`.
        routes: the route of each tool, by name.
    """

    def __init__(self, app: FastAPI, routes: Mapping[str, APIRoute], tools: Sequence[FunctionTool]) -> None:
        self._app = app
        self._routes = routes
        self._tools = tools

    def tools(self, session_id: str | None) -> Sequence[FunctionTool]:
        return self._tools

    async def call(self, session_id: str, name: str, arguments: dict[str, Any]) -> ToolAnswer:
        route = self._routes[name]
        added = {
            "app": self._app,
            "session": {SESSION_ID_KEY: session_id},
            "path_params": dict.fromkeys(route.param_convertors, name),
        }
        handler = AsyncExitStackMiddleware(route.app)

        async def in_session(scope: Scope, receive: Receive, send: Send) -> None:
            await handler({**scope, **added}, receive, send)

        try:
            reply = await exchange(in_session, f"/{name}", encode(arguments))
        except HTTPException as error:
            return _refusal(error.status_code, name, error.detail)
        except RequestValidationError as error:
            return _refusal(422, name, error.errors())
        except Exception as error:
            return _refusal(500, name, without_secrets(repr(error)))
        if not 200 <= reply.status < 300:
            return _refusal(reply.status, name, reply.text)
        return ToolAnswer(reply.text)


def with_access(tools: ToolServer, seed_session: ASGIApp, allowed: AllowedTools) -> ASGIApp:
    """`/seed_session`, whose answer says under `mcp` how to reach the tools."""

    async def seed(scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).body()
        row = object_in(body)
        names = allowed(row) if row is not None else None

        def add_access(content: bytes) -> bytes:
            answer = object_in(content)
            if answer is None:
                return content
            return encode({**answer, "mcp": tools.access(scope["session"][SESSION_ID_KEY], names)})

        await _pass_on(seed_session, scope, body, send, add_access)

    return seed


def with_own_names(tools: ToolServer, verify: ASGIApp) -> ASGIApp:
    """`/verify`, which sees calls of the server's tools under their own names. In its answer the calls have
    the names of the request again."""

    async def verify_own(scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).body()
        row = object_in(body) if b'"mcp__' in body else None
        calls = _calls(row)
        own = {place: {**call, "name": tools.own_name(call["name"])} for place, call in calls.items()}
        if row is None or own == calls:
            await _pass_on(verify, scope, body, send, lambda content: content)
            return
        response = row[keys.RESPONSE]
        output = [own.get(place, item) for place, item in enumerate(response["output"])]
        verify_body = encode({**row, keys.RESPONSE: {**response, "output": output}})

        def restore(content: bytes) -> bytes:
            answer = object_in(content)
            for place, call in _calls(answer).items():
                if place in own and call["name"] == own[place]["name"]:
                    call["name"] = calls[place]["name"]
            return content if answer is None else encode(answer)

        await _pass_on(verify, scope, verify_body, send, restore)

    return verify_own


def _calls(row: dict[str, Any] | None) -> dict[int, dict[str, Any]]:
    """The tool calls in a row's response, by their place in the output."""
    output = object_of(object_of(row).get(keys.RESPONSE)).get("output")
    items = map(object_of, cast("list[Any]", output) if isinstance(output, list) else [])
    return {
        place: item
        for place, item in enumerate(items)
        if item.get("type") == "function_call" and isinstance(item.get("name"), str)
    }


def _refusal(status: int, name: str, detail: Any) -> ToolAnswer:
    text = detail if isinstance(detail, str) else msgspec.json.encode(detail, enc_hook=repr).decode()
    return ToolAnswer(f"HTTP {status} from POST /{name}: {text}", is_error=True)


async def _pass_on(
    app: ASGIApp, scope: Scope, body: bytes, send: Send, change: Callable[[bytes], bytes]
) -> None:
    """Call `app` with this body, and change a successful answer before it is sent on."""
    headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
    inner_scope = {**scope, "headers": [*headers, (b"content-length", str(len(body)).encode())]}
    start: Message = {}
    content: list[bytes] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def collect(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            start = message
            return
        content.append(message.get("body", b""))
        if message.get("more_body", False):
            return
        answer = b"".join(content)
        if start["status"] < 300:
            answer = change(answer)
        other = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
        await send({**start, "headers": [*other, (b"content-length", str(len(answer)).encode())]})
        await send({"type": "http.response.body", "body": answer})

    await app(inner_scope, receive, collect)
