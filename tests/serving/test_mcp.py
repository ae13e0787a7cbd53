"""An environment's tools over MCP, used by the official client over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
import pytest
from loopback import served
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from nemo_gym import Environment, Response, Session, Step, StepEnvironment, Task, ToolError, tool
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.remote import RemoteEnvironment
from nemo_gym.serving.environment_app import environment_app
from nemo_gym.serving.environment_tools import OfferedEnvironment, OfferedTools
from nemo_gym.serving.mcp import TOKEN_HEADER, ToolServer
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.secrets import Secret
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import assistant, function_call

PARAMS = {"input": [{"role": "user", "content": "count"}]}
ROW = {"responses_create_params": PARAMS, "goal": 3}
BOTH = {"count": 1.0, "named": 1.0}


class Counting(Environment):
    """Count to the goal."""

    class Task(Task):
        goal: int

    def seed(self, task: Any, session: Session) -> None:
        session.state["count"] = 0

    @tool
    async def add(self, session: Session, by: int = 1) -> dict[str, int]:
        """Add to the count."""
        if by > 100:
            raise ToolError("too much at once")
        session.state["count"] += by
        return {"count": session.state["count"]}

    @tool
    def greet(self, name: str) -> str:
        """Say hello."""
        return f"Hello {name}"

    def verify(self, task: Any, response: Response, session: Session) -> dict[str, float]:
        called = [call["name"] for call in response.function_calls]
        return {"count": float(session.state["count"] == task.goal), "named": float(called == ["add"])}

    def mcp_allowed_tools_for_session(self, seed_body: dict[str, Any]) -> list[str] | None:
        return seed_body.get("only")


@asynccontextmanager
async def counting(options: AppOptions | None = None) -> AsyncGenerator[str]:
    options = options or AppOptions()
    link = LocalEnvironment(Counting())
    offered = OfferedTools(link, "counter", options.cookie_secret)
    async with served(environment_app(link, "counter", options, mcp_tools=offered)) as url:
        yield url


@asynccontextmanager
async def connected(url: str, token: str | None = None, **options: Any) -> AsyncGenerator[Client]:
    headers = {TOKEN_HEADER: token} if token is not None else {}
    bearer = options.pop("bearer", None)
    if bearer:
        headers["authorization"] = f"Bearer {bearer}"
    async with httpx2.AsyncClient(headers=headers) as http:
        transport = streamable_http_client(f"{url}/mcp", http_client=http)
        async with Client(transport, **options) as client:
            yield client


async def seed(caller: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    answer = await caller.post("/seed_session", json={**ROW, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()["mcp"]


def token_of(access: dict[str, Any]) -> str:
    return access["headers"][TOKEN_HEADER]


def text_of(result: Any) -> str:
    (block,) = result.content
    return block.text


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_of_either_protocol_era_acts_in_the_session_of_the_cookie(mode: str) -> None:
    async with counting() as url, httpx.AsyncClient(base_url=url) as caller:
        access = await seed(caller)
        assert access["server_name"] == "counter"
        assert (access["url_path"], access["transport"]) == ("/mcp", "http")
        await caller.post("/add", json={"by": 1})
        async with connected(url, token_of(access), mode=mode) as client:
            tools = {one.name: one for one in (await client.list_tools()).tools}
            assert tools["add"].description == "Add to the count."
            assert tools["add"].input_schema["properties"]["by"]["type"] == "integer"
            result = await client.call_tool("add", {"by": 2})
            assert not result.is_error
            assert json.loads(text_of(result)) == result.structured_content == {"count": 3}
            assert text_of(await client.call_tool("greet", {"name": "Ann"})) == "Hello Ann"
        output = [function_call("mcp__counter__add", "{}", call_id="c"), assistant("done")]
        verdict = (await caller.post("/verify", json={**ROW, "response": {"output": output}})).json()
        assert verdict["reward_components"] == BOTH
        assert verdict["response"]["output"][0]["name"] == "mcp__counter__add"


async def test_two_sessions_side_by_side_keep_their_own_counts() -> None:
    async with (
        counting() as url,
        httpx.AsyncClient(base_url=url) as one,
        httpx.AsyncClient(base_url=url) as two,
    ):
        first, second = token_of(await seed(one)), token_of(await seed(two))
        async with connected(url, first) as a, connected(url, second) as b:
            await asyncio.gather(*(client.call_tool("add", {"by": by}) for client, by in ((a, 1), (b, 10))))
            results = await asyncio.gather(a.call_tool("add", {"by": 1}), b.call_tool("add", {"by": 10}))
    assert [result.structured_content for result in results] == [{"count": 2}, {"count": 20}]


async def test_without_a_valid_token_all_is_listed_and_nothing_can_be_called() -> None:
    async with counting() as url:
        foreign = ToolServer("counter", LocalSource(), Secret.random()).access("s", None)
        for token, problem in ((None, TOKEN_HEADER), ("nonsense", "Invalid"), (token_of(foreign), "Invalid")):
            async with connected(url, token) as client:
                assert [one.name for one in (await client.list_tools()).tools] == ["add", "greet"]
                result = await client.call_tool("add", {})
                assert result.is_error
                assert problem in text_of(result)


async def test_only_the_allowed_tools_of_a_session_are_listed_and_run() -> None:
    async with (
        counting() as url,
        httpx.AsyncClient(base_url=url) as caller,
        connected(url, token_of(await seed(caller, only=["greet"]))) as client,
    ):
        assert [one.name for one in (await client.list_tools()).tools] == ["greet"]
        refused = await client.call_tool("add", {})
        assert refused.is_error
        assert "'add' is not allowed in this session. Available tools: greet" in text_of(refused)
        unknown = await client.call_tool("subtract", {})
        assert unknown.is_error
        assert "Unknown tool 'subtract'. Available tools: greet" in text_of(unknown)


async def test_what_a_tool_refuses_is_an_error_that_the_model_can_read() -> None:
    async with (
        counting() as url,
        httpx.AsyncClient(base_url=url) as caller,
        connected(url, token_of(await seed(caller))) as client,
    ):
        result = await client.call_tool("add", {"by": 1000})
        assert result.is_error
        assert json.loads(text_of(result)) == {"error": "too much at once"}
        assert result.structured_content is None
        assert "Invalid arguments" in text_of(await client.call_tool("add", {"by": "many"}))


async def test_a_session_that_was_verified_takes_no_more_calls() -> None:
    async with counting() as url, httpx.AsyncClient(base_url=url) as caller:
        token = token_of(await seed(caller))
        await caller.post("/verify", json={**ROW, "response": {"output": [assistant("done")]}})
        async with connected(url, token) as client:
            result = await client.call_tool("add", {})
    assert result.is_error
    assert "not open any more" in text_of(result)


async def test_a_hook_that_fails_fails_the_seeding() -> None:
    class Broken(Counting):
        def mcp_allowed_tools_for_session(self, seed_body: dict[str, Any]) -> list[str] | None:
            raise LookupError("no list")

    link = LocalEnvironment(Broken())
    options = AppOptions()
    app = environment_app(link, "b", options, mcp_tools=OfferedTools(link, "b", options.cookie_secret))
    async with served(app) as url, httpx.AsyncClient(base_url=url) as caller:
        answer = await caller.post("/seed_session", json=ROW)
    assert (answer.status_code, answer.json()) == (500, "LookupError('no list')")
    assert link.open_sessions == 0


async def test_only_posts_to_the_one_path_are_answered() -> None:
    async with counting() as url, httpx.AsyncClient(base_url=url) as caller:
        assert [(await caller.get(path)).status_code for path in ("/mcp", "/mcp/")] == [405, 405]
        assert (await caller.post("/mcp/x", json={})).status_code == 404


async def test_the_bearer_token_is_asked_for_too() -> None:
    secret = Secret.random()
    async with counting(AppOptions(token=secret)) as url:
        bearer = {"authorization": f"Bearer {secret.reveal()}"}
        async with httpx.AsyncClient(base_url=url) as caller:
            assert (await caller.post("/mcp", json={})).status_code == 401
            assert (await caller.post("/mcp/", json={})).status_code == 401
        async with httpx.AsyncClient(base_url=url, headers=bearer) as caller:
            token = token_of(await seed(caller))
        async with connected(url, token, bearer=secret.reveal()) as client:
            assert (await client.call_tool("add", {})).structured_content == {"count": 1}


async def test_there_is_no_stream_to_listen_to_and_no_5xx_for_nonsense() -> None:
    async with counting() as url, httpx.AsyncClient(base_url=url) as caller:
        assert (await caller.get("/mcp")).status_code == 405
        accept = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
        for body in (b"", b"[]", b"{", b"[" * 100_000, b'{"jsonrpc":"2.0","id":1,"method":"tools/call"}'):
            answer = await caller.post("/mcp", content=body, headers=accept)
            assert answer.status_code < 500, body[:50]


async def test_a_server_that_does_not_expose_its_tools_says_nothing_of_mcp() -> None:
    link = LocalEnvironment(Counting())
    async with (
        served(environment_app(link, "c", AppOptions())) as url,
        httpx.AsyncClient(base_url=url) as one,
    ):
        assert "mcp" not in (await one.post("/seed_session", json=ROW)).json()
        assert (await one.post("/mcp", json={})).status_code == 404


async def test_an_agent_learns_where_the_tools_are_from_a_remote_session() -> None:
    async with counting() as url:
        remote = RemoteEnvironment(url)
        async with remote.session(ROW) as session:
            access = session.state["mcp"]
            assert access["url"] == f"{url}/mcp"
            async with connected(url, access["token"]) as client:
                await client.call_tool("add", {"by": 3})
            calls = [function_call("add", "{}", call_id="c")]
            assert (await remote.verify(session, Response.of(calls))).components == BOTH
        await remote.aclose()


async def test_an_agent_in_the_same_process_learns_it_too() -> None:
    options = AppOptions()
    link = LocalEnvironment(Counting())
    offered = OfferedTools(link, "counter", options.cookie_secret)
    async with served(environment_app(link, "counter", options, mcp_tools=offered)) as url:
        environment = OfferedEnvironment(link, offered, url)
        async with environment.session(ROW) as session:
            async with connected(url, session.state["mcp"]["token"]) as client:
                await client.call_tool("add", {"by": 3})
            assert session.state["count"] == 3
            calls = [function_call("mcp__counter__add", "{}", call_id="c")]
            assert (await environment.verify(session, Response.of(calls))).components == BOTH


def test_an_environment_of_steps_has_no_tools_to_expose() -> None:
    class Steps(StepEnvironment):
        def step(self, action: Response, session: Session) -> Step:
            return Step()

    with pytest.raises(UsageError, match="reset and step"):
        OfferedTools(LocalEnvironment(Steps()), "s", Secret.random())


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("mcp__my.server__add", "add"),
        ("mcp__my_server__add", "add"),
        ("mcp__other__add", "mcp__other__add"),
        ("mcp__my.server__", "mcp__my.server__"),
        ("add", "add"),
    ],
)
def test_names_are_stripped_of_this_server_and_no_other(name: str, own: str) -> None:
    assert ToolServer("my.server", LocalSource(), Secret("s")).own_name(name) == own


class LocalSource:
    """Nothing at all."""

    def tools(self, session_id: str | None) -> list[Any]:
        return []

    async def call(self, session_id: str, name: str, arguments: dict[str, Any]) -> Any:
        raise NotImplementedError
