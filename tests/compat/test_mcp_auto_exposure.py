"""Existing servers with `expose_tools_over_mcp`: their routes called by MCP clients."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Body, Cookie, Depends, FastAPI, Form, Header, HTTPException, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.testclient import TestClient
from nemo_gym.base_resources_server import NEMO_GYM_MCP_SESSION_TOKEN_HEADER as TOKEN
from nemo_gym.base_resources_server import normalize_tool_name
from nemo_gym.mcp_auto_exposure import maybe_auto_expose
from pydantic import BaseModel
from servers.dispatch.app import DispatchConfig, DispatchServer
from servers.lookup.app import LookupConfig, LookupServer
from servers.sample import build, call, row
from starlette.middleware.gzip import GZipMiddleware

LIST = {"key": {"description": "What to look up.", "title": "Key", "type": "string"}}


class Text(BaseModel):
    text: str


class Shown(BaseModel):
    text: str


class Shapes(LookupServer):
    """Every shape a handler may have."""

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()

        @app.post("/blocking")
        def blocking(body: Text) -> dict[str, str]:
            return {"upper": body.text.upper()}

        @app.post("/anything")
        async def anything(body: dict[str, Any]) -> dict[str, Any]:
            return body

        @app.post("/both")
        async def both(request: Request, body: Text) -> dict[str, Any]:
            return {"text": body.text, "raw": await request.json(), "path": request.url.path}

        @app.post("/filtered", response_model=Shown)
        async def filtered(body: Text) -> dict[str, Any]:
            return {"text": body.text, "hidden": 1}

        @app.post("/plain")
        async def plain(body: Text) -> PlainTextResponse:
            return PlainTextResponse(f"just {body.text}")

        @app.post("/number")
        async def number(body: Text) -> int:
            return len(body.text)

        @app.post("/teapot")
        async def teapot(body: Text) -> None:
            raise HTTPException(418, "short and stout")

        @app.post("/sad")
        async def sad(body: Text) -> JSONResponse:
            return JSONResponse({"why": "rain"}, 503)

        @app.post("/broken")
        async def broken(body: Text) -> None:
            raise LookupError("kaboom")

        return app


def rpc(client: TestClient, method: str, params: dict[str, Any], token: str = "") -> dict[str, Any]:
    headers = {"accept": "application/json, text/event-stream", **({TOKEN: token} if token else {})}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return client.post("/mcp", headers=headers, json=body).json()["result"]


def use(client: TestClient, token: str, name: str, **arguments: Any) -> tuple[str, Any]:
    """The text of a call's result, and its structure, or True for an error."""
    result = rpc(client, "tools/call", {"name": name, "arguments": arguments}, token)
    return result["content"][0]["text"], result.get("isError") or result.get("structuredContent")


def seed(client: TestClient, **columns: Any) -> str:
    access = client.post("/seed_session", json=columns).json()["mcp"]
    assert (access["server_name"], access["url_path"], access["transport"]) == ("under_test", "/mcp", "http")
    return access["headers"][TOKEN]


@contextmanager
def exposed(kind: Any = LookupServer, config: Any = LookupConfig) -> Iterator[TestClient]:
    server = build(kind, config, expose_tools_over_mcp=True)
    with TestClient(server.served_app()) as client:
        yield client


def test_the_tools_are_the_routes_that_the_hook_lets_through() -> None:
    with exposed() as client:
        (tool,) = rpc(client, "tools/list", {})["tools"]
        assert (tool["name"], tool["description"]) == ("look_up", "Look a word up in the table.")
        assert tool["inputSchema"]["properties"] == LIST


def test_a_call_acts_on_the_session_of_the_cookie() -> None:
    with exposed() as client:
        token = seed(client)
        client.post("/look_up", json={"key": "h2o"})
        assert use(client, token, "look_up", key="h2o") == ('{"found":"water"}', {"found": "water"})
        assert client.post("/verify", json=row()).json()["reward"] == 2.0


def test_two_sessions_keep_apart() -> None:
    with exposed() as client:
        first = seed(client)
        client.cookies.clear()
        second = seed(client)
        use(client, first, "look_up", key="a")
        use(client, second, "look_up", key="b")
        assert client.post("/verify", json=row()).json()["reward"] == 1.0


def test_the_hook_narrows_what_a_session_may_call() -> None:
    with exposed(Shapes) as client:
        token = seed(client, allowed_tools=["plain"])
        assert [tool["name"] for tool in rpc(client, "tools/list", {}, token)["tools"]] == ["plain"]
        text, failed = use(client, token, "number", text="x")
        assert (failed, "not allowed" in text, "plain" in text) == (True, True, True)


def test_without_a_token_nothing_is_called() -> None:
    with exposed() as client:
        assert use(client, "", "look_up", key="a")[1] is True
        assert TOKEN in use(client, "", "look_up", key="a")[0]
        assert "Invalid" in use(client, "nonsense", "look_up", key="a")[0]
        assert "Unknown tool" in use(client, seed(client), "look_down")[0]


@pytest.mark.parametrize(
    ("name", "text", "structure"),
    [
        ("blocking", {"upper": "AB"}, {"upper": "AB"}),
        ("anything", {"text": "ab"}, {"text": "ab"}),
        ("both", {"text": "ab", "raw": {"text": "ab"}, "path": "/both"}, None),
        ("filtered", {"text": "ab"}, {"text": "ab"}),
        ("plain", "just ab", None),
        ("number", 2, None),
        ("teapot", "HTTP 418 from POST /teapot: short and stout", True),
        ("sad", 'HTTP 503 from POST /sad: {"why":"rain"}', True),
        ("broken", "HTTP 500 from POST /broken: LookupError('kaboom')", True),
    ],
)
def test_each_shape_answers_as_its_route_does(name: str, text: Any, structure: Any) -> None:
    with exposed(Shapes) as client:
        said, structured = use(client, seed(client), name, text="ab")
    assert said == text if isinstance(text, str) else json.loads(said) == text
    assert structured == (text if name == "both" else structure)


def test_wrong_arguments_are_what_the_route_says_of_them() -> None:
    with exposed(Shapes) as client:
        said, failed = use(client, seed(client), "plain", words="ab")
    assert failed is True
    assert said.startswith("HTTP 422 from POST /plain: [")
    assert "Field required" in said


class Routed(LookupServer):
    """Tools on routers, one inside the other."""

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        outer, inner = APIRouter(), APIRouter(dependencies=[])

        @inner.post("/shout")
        async def shout(request: Request, body: Text) -> dict[str, Any]:
            """Say it louder."""
            return {"text": body.text.upper(), "session": len(request.session["session_id"])}

        @inner.post("/sad")
        async def sad(body: Text) -> None:
            raise HTTPException(409, "not now")

        outer.include_router(inner)
        app.include_router(outer)
        app.include_router(inner, prefix="/below")
        return app

    def mcp_tools(self, harvested: list[Any], catchall: Any) -> list[Any]:
        return harvested


def test_routes_of_included_routers_are_tools_too() -> None:
    with exposed(Routed) as client:
        token = seed(client)
        tools = {tool["name"]: tool for tool in rpc(client, "tools/list", {}, token)["tools"]}
        assert {"shout", "sad", "look_up"} <= tools.keys()
        assert not any("below" in name for name in tools)
        assert tools["shout"]["description"] == "Say it louder."
        assert tools["shout"]["inputSchema"]["required"] == ["text"]
        assert use(client, token, "shout", text="ab")[1] == {"text": "AB", "session": 36}
        assert use(client, token, "sad", text="ab") == ("HTTP 409 from POST /sad: not now", True)
        assert client.post("/shout", json={"text": "ab"}).json()["text"] == "AB"


def test_a_router_whose_tools_cant_be_called_over_mcp_is_refused() -> None:
    class Guarded(Routed):
        def setup_webserver(self) -> FastAPI:
            app = super().setup_webserver()
            guarded = APIRouter()
            guarded.post("/guarded")(lambda body: body)
            app.include_router(guarded, dependencies=[Depends(lambda: None)])
            return app

    with pytest.raises(ValueError, match="/guarded has dependencies"):
        build(Guarded, LookupConfig, expose_tools_over_mcp=True).served_app()


class MintingServer(DispatchServer):
    def mcp_tools(self, harvested: list[Any], catchall: Any) -> list[Any]:
        schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
        return [*harvested, catchall.tool("add", schema, "Add two numbers.")]


def test_a_route_that_takes_any_name_gets_the_tools_that_the_hook_mints() -> None:
    with exposed(MintingServer, DispatchConfig) as client:
        token = seed(client)
        (tool,) = rpc(client, "tools/list", {}, token)["tools"]
        assert (tool["name"], tool["description"]) == ("add", "Add two numbers.")
        assert use(client, token, "add", a=1, b=2) == ("3", None)
        assert use(client, token, "add", a=1)[0].startswith("HTTP 400 from POST /add: bad arguments")
        assert client.post("/join", json={"words": ["a", "b"]}).text == '"a b"'


def test_verify_sees_plain_names_and_answers_with_the_given_ones() -> None:
    seen: list[list[str]] = []

    class Watching(LookupServer):
        async def verify(self, request: Request, body: Any) -> Any:
            seen.append([item.name for item in body.response.output])
            return await super().verify(request, body)

    Watching.verify.__annotations__ = {**LookupServer.verify.__annotations__, "request": Request}
    names = ["mcp__under_test__look_up", "look_up", "mcp__other__look_up"]
    calls = [call(name, "{}", f"call_{place}") for place, name in enumerate(names)]
    with exposed(Watching) as client:
        seed(client)
        answer = client.post("/verify", json=row(*calls)).json()
    assert seen == [["look_up", "look_up", "mcp__other__look_up"]]
    assert [item["name"] for item in answer["response"]["output"]] == names


def test_a_hook_that_fails_fails_the_seeding() -> None:
    class Broken(LookupServer):
        def mcp_allowed_tools_for_session(self, seed_body: dict[str, Any]) -> list[str] | None:
            raise LookupError("no list")

    with exposed(Broken) as client:
        answer = client.post("/seed_session", json={})
    assert (answer.status_code, answer.json()) == (500, "LookupError('no list')")


def test_a_hook_that_returns_nothing_exposes_nothing() -> None:
    class Shy(LookupServer):
        def mcp_tools(self, harvested: list[Any], catchall: Any) -> None:
            return None

    with exposed(Shy) as client:
        assert client.post("/seed_session", json={}).json() == {}
        assert client.post("/mcp", json={}).status_code == 404


Needs = Annotated[str, Depends(lambda: "x")]


async def query(body: Text, limit: int) -> None: ...
async def defaulted(body: Text, limit: int = 3) -> None: ...
async def optional(body: Text | None = None) -> None: ...
async def union(body: Text | Shown) -> None: ...
async def several(body: Text, other: Shown) -> None: ...
async def scalar(body: Annotated[int, Body()]) -> None: ...
async def depends(body: Text, needed: Needs) -> None: ...
async def header(body: Text, agent: Annotated[str, Header()]) -> None: ...
async def cookie(body: Text, crumb: Annotated[str, Cookie()]) -> None: ...
async def form(text: Annotated[str, Form()]) -> None: ...
async def variable(body: Text, *args: Any) -> None: ...


@pytest.mark.parametrize(
    "handler",
    [query, defaulted, optional, union, several, scalar, depends, header, cookie, form, variable],
    ids=lambda handler: handler.__name__,
)
def test_a_handler_that_needs_more_than_a_body_is_refused_at_start(handler: Any) -> None:
    server = build(LookupServer, LookupConfig, expose_tools_over_mcp=True)
    app = server.setup_webserver()
    app.post(f"/{handler.__name__}")(handler)
    with pytest.raises(ValueError, match=f"under_test: expose_tools_over_mcp: /{handler.__name__} "):
        maybe_auto_expose(server, app)


async def by_number(request: Request, path: int) -> None: ...
async def by_name(request: Request, path: str) -> None: ...


def test_a_route_that_the_hook_leaves_out_may_have_any_shape() -> None:
    class Choosy(LookupServer):
        def mcp_tools(self, harvested: list[Any], catchall: Any) -> list[Any]:
            return [tool for tool in harvested if tool.name == "look_up"]

    server = build(Choosy, LookupConfig, expose_tools_over_mcp=True)
    app = server.setup_webserver()
    app.post("/query")(query)
    assert list(maybe_auto_expose(server, app) or ()) == ["look_up"]


def refused(server: Any, app: FastAPI, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        maybe_auto_expose(server, app)


def test_a_server_that_cannot_be_exposed_says_why_at_start() -> None:
    class Minting(LookupServer):
        def mcp_tools(self, harvested: list[Any], catchall: Any) -> list[Any]:
            return [catchall.tool(name, {}, "") for name in ("a b", "verify", "twice", "twice")]

    server = build(Minting, LookupConfig, expose_tools_over_mcp=True)
    app = server.setup_webserver()
    app.post("/{path}")(by_name)
    for problem in ("'a b' can't be the name", "'verify' can't be the name", "2 tools named 'twice'"):
        refused(server, app, problem)
    app.post("/{path:path}")(by_name)
    refused(server, app, "both /{path} and /{path:path} take any tool name")

    numbered = build(Minting, LookupConfig, expose_tools_over_mcp=True)
    app = numbered.setup_webserver()
    app.post("/{path}")(by_number)
    refused(numbered, app, "takes 'path' from the path as something other than str")

    server = build(LookupServer, LookupConfig, expose_tools_over_mcp=True)
    app = server.setup_webserver()
    app.add_middleware(GZipMiddleware)
    refused(server, app, "bypass the middleware GZipMiddleware")
    app = server.setup_webserver()
    app.mount("/mcp", FastAPI())
    refused(server, app, "already serves /mcp")


def test_names_lose_the_prefix_of_their_server() -> None:
    server = build(LookupServer, LookupConfig)
    assert server.normalize_tool_name("mcp__under_test__look_up") == "look_up"
    assert server.normalize_tool_name("mcp__other__look_up") == "mcp__other__look_up"
    assert normalize_tool_name("mcp__other__look_up") == "look_up"
    assert normalize_tool_name("look_up") == "look_up"
