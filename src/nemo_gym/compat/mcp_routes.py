"""Routes of a FastAPI app called for MCP clients, and the two routes whose bodies MCP changes."""

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

from nemo_gym.serving.in_process import exchange
from nemo_gym.serving.mcp import ToolAnswer, ToolServer
from nemo_gym.serving.sessions import SESSION_ID_KEY
from nemo_gym.wire.jsonl import decode, encode
from nemo_gym.wire.masking import without_secrets
from nemo_gym.wire.params import FunctionTool

AllowedTools = Callable[[dict[str, Any]], list[str] | None]


class RouteTools:
    """Tools that are routes: a call is one request to the route itself, past the app's middleware.

    Args:
        app: what handlers see as `request.app`.
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
            return _refused(error.status_code, name, error.detail)
        except RequestValidationError as error:
            return _refused(422, name, error.errors())
        except Exception as error:
            return _refused(500, name, without_secrets(repr(error)))
        if not 200 <= reply.status < 300:
            return _refused(reply.status, name, reply.text)
        return ToolAnswer(reply.text)


def tell_how_to_reach(tools: ToolServer, seed_session: ASGIApp, allowed: AllowedTools) -> ASGIApp:
    """`/seed_session` with `mcp` in its answer."""

    async def seeded(scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).body()
        row = _object(body)
        may = allowed(row) if row is not None else None

        def with_access(content: bytes) -> bytes:
            answer = _object(content)
            if answer is None:
                return content
            return encode({**answer, "mcp": tools.access(scope["session"][SESSION_ID_KEY], may)})

        await _passed(seed_session, scope, body, send, with_access)

    return seeded


def name_own_tools(tools: ToolServer, verify: ASGIApp) -> ASGIApp:
    """`/verify` that sees calls of the server's tools under their own names, and answers as it was asked."""

    async def verified(scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).body()
        row = _object(body) if b'"mcp__' in body else None
        calls = _calls(row)
        own = {place: {**call, "name": tools.own_name(call["name"])} for place, call in calls.items()}
        if row is None or own == calls:
            await _passed(verify, scope, body, send, lambda content: content)
            return
        response = row["response"]
        output = [own.get(place, item) for place, item in enumerate(response["output"])]
        verify_body = encode({**row, "response": {**response, "output": output}})

        def as_given(content: bytes) -> bytes:
            answer = _object(content)
            for place, call in _calls(answer).items():
                if place in own and call["name"] == own[place]["name"]:
                    call["name"] = calls[place]["name"]
            return content if answer is None else encode(answer)

        await _passed(verify, scope, verify_body, send, as_given)

    return verified


def _calls(row: dict[str, Any] | None) -> dict[int, dict[str, Any]]:
    """The tool calls in a row's response, by their place in the output."""
    response = row.get("response") if row is not None else None
    output = cast("dict[str, Any]", response).get("output") if isinstance(response, dict) else None
    items = cast("list[Any]", output) if isinstance(output, list) else []
    objects = {
        place: cast("dict[str, Any]", item) for place, item in enumerate(items) if isinstance(item, dict)
    }
    return {
        place: item
        for place, item in objects.items()
        if item.get("type") == "function_call" and isinstance(item.get("name"), str)
    }


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value: Any = decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _refused(status: int, name: str, detail: Any) -> ToolAnswer:
    text = detail if isinstance(detail, str) else msgspec.json.encode(detail, enc_hook=repr).decode()
    return ToolAnswer(f"HTTP {status} from POST /{name}: {text}", is_error=True)


async def _passed(
    app: ASGIApp, scope: Scope, body: bytes, send: Send, change: Callable[[bytes], bytes]
) -> None:
    """Ask `app` with this body; a successful answer is sent on changed."""
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
        whole = b"".join(content)
        changed = change(whole) if start["status"] < 300 else whole
        kept = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
        await send({**start, "headers": [*kept, (b"content-length", str(len(changed)).encode())]})
        await send({"type": "http.response.body", "body": changed})

    await app(inner_scope, receive, collect)
