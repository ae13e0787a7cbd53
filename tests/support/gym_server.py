"""A server as somebody else might have written it, in a process of its own: a resources server in either
form, an agent server and an external agent at once.

The session is a cookie that is a new one with every answer and works once. A row can ask for trouble:
`"trouble": {"/verify": "500"}`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
from collections import Counter
from typing import Any
from uuid import uuid4

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

sessions: dict[str, dict[str, Any]] = {}
seen: Counter[str] = Counter()


async def trouble(kind: str) -> Response | None:
    """What a request that asks for trouble gets."""
    match kind:
        case "500":
            return JSONResponse("ValueError('boom')", 500)
        case "503":
            return JSONResponse("busy", 503)
        case "422":
            return JSONResponse({"detail": [{"loc": ["body", "count"], "msg": "missing"}]}, 422)
        case "302":
            return Response(status_code=302, headers={"location": "/elsewhere"})
        case "garbage":
            return PlainTextResponse("<html>hello</html>")
        case "list":
            return JSONResponse([1])
        case "deep":
            return PlainTextResponse("[" * 100_000)
        case "empty":
            return JSONResponse({})
        case "hang":
            await asyncio.sleep(3600)
        case "die":
            os._exit(9)
        case _:
            return JSONResponse(json.loads(kind))
    return None


def answer(session: dict[str, Any], body: object) -> Response:
    """An answer with the next cookie of the session."""
    response = body if isinstance(body, Response) else JSONResponse(body)
    value = uuid4().hex
    sessions[value] = session
    response.set_cookie("sid", value)
    return response


async def seed_session(request: Request) -> Response:
    row = await request.json()
    return await troubled(request, {"row": row, "log": []}) or answer({"row": row, "log": []}, {})


async def tool(request: Request) -> Response:
    session = held(request)
    name = request.path_params["tool"]
    if found := await troubled(request, session):
        return found
    session["log"].append([name, (await request.body()).decode()])
    if name == "missing":
        return answer(session, JSONResponse({"detail": "Not Found"}, 404))
    return answer(session, session["log"])


async def verify(request: Request) -> Response:
    session, body = held(request), await request.json()
    if found := await troubled(request, session):
        return found
    calls = [name for name, _ in session["log"]]
    return answer(session, {**body, "reward": float(len(calls)), "calls": calls, "expected": "changed"})


async def reset(request: Request) -> Response:
    row = await request.json()
    session = {"row": row, "log": []}
    info = {"supports_explicit_close": True, "supports_step_idempotency": True}
    return await troubled(request, session) or answer(session, {"observation": "go", "info": info})


async def step(request: Request) -> Response:
    session, body = held(request), await request.json()
    if found := await troubled(request, session):
        return found
    session["log"].append(body["_ng_step_request_id"])
    done = len(session["log"]) == 3
    outputs = [{"call_id": "c1", "output": "out"}]
    info = {"tool_outputs": outputs, "ids": len(set(session["log"]))}
    return answer(session, {"observation": "on", "reward": 0.5, "terminated": done, "info": info})


async def close(request: Request) -> Response:
    session = held(request)
    return await troubled(request, session) or answer(session, {})


async def headers(request: Request) -> Response:
    return JSONResponse(dict(request.headers))


async def run(request: Request) -> Response:
    row = await request.json()
    seen[f"agent {row.get('agent_ref', {}).get('name')}"] += 1
    if found := await troubled(request, {"row": row}):
        return found
    output = [message(row["responses_create_params"]["input"][0]["content"])]
    return JSONResponse({**row, "response": response(output), "reward": 1.0, "graded_by": "them"})


async def act(request: Request) -> Response:
    """The external agent: calls a tool of its own, then one of the environment's, then answers."""
    params = await request.json()
    before = held(request) if request.cookies else {"row": {}, "log": []}
    text = params["input"][0]["content"]
    if text.startswith("trouble "):
        found = await trouble(text.removeprefix("trouble "))
        assert found is not None
        return found
    if not any(item.get("type") == "function_call" for item in params["input"]):
        own = [call("lookup", "own"), {"type": "function_call_output", "call_id": "own", "output": "42"}]
        return answer(before, response([*own, call("add", "theirs")]))
    return answer(before, response([message(f"saw {len(params['input'])} items")]))


async def troubled(request: Request, session: dict[str, Any]) -> Response | None:
    """The trouble that the row wants of this route, if any; `once:` of the first request only."""
    path, row = request.url.path, session["row"]
    wanted = row.get("trouble", {}).get(path, "")
    if not wanted:
        return None
    key = f"{row.get('task_id')} {path}"
    seen[key] += 1
    if wanted.startswith("once:") and seen[key] > 1:
        return None
    found = await trouble(wanted.removeprefix("once:"))
    return None if found is None else answer(session, found)


def held(request: Request) -> dict[str, Any]:
    return sessions.pop(request.cookies.get("sid", ""), None) or {"row": {}, "log": [["no session", ""]]}


def message(text: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [part]}


def call(name: str, call_id: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": "{}"}


def response(output: list[dict[str, Any]]) -> dict[str, Any]:
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    return {"id": "r", "object": "response", "created_at": 1, "model": "m", "output": output, "usage": usage}


def app(*, steps: bool, head: str) -> Starlette:
    form = [("/reset", reset), ("/step", step)] if steps else [("/seed_session", seed_session)]
    routes = [
        Route(path, handler, methods=["POST"])
        for path, handler in [
            *form, ("/close", close), ("/verify", verify),
            ("/run", run), ("/v1/responses", act), ("/headers", headers),
        ]
    ]  # fmt: skip
    document = {"openapi": "3.1.0", "info": {"title": "t"}, "paths": {route.path: {} for route in routes}}
    published: dict[str, object] = {"/openapi.json": document, "/seen": seen, **json.loads(head or "{}")}

    async def published_at(request: Request) -> Response:
        return JSONResponse(published[request.url.path])

    gets = [Route(path, published_at) for path in published]
    return Starlette(routes=[*gets, *routes, Route("/{tool}", tool, methods=["POST"])])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", default="")
    parser.add_argument("--head", default="", help="JSON by path, served as it is")
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", given.port))
    listener.listen(1024)
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(app(steps=bool(given.steps), head=given.head), log_level="critical")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
