"""MCP servers as tools of an environment: real programs and a real HTTP server."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nemo_gym import Environment, Response, Session, tool
from nemo_gym.agents.tool_loop import ToolLoop
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.mcp_tools import McpServer
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.wire.errors import EnvironmentFault, UsageError
from nemo_gym.wire.items import Item, function_call
from nemo_gym.wire.params import RequestParams

SERVER = Path(__file__).parents[1] / "support" / "mcp_server.py"
ROW: dict[str, Any] = {"responses_create_params": {"input": [{"role": "user", "content": "take a note"}]}}


def program(*flags: str, **options: Any) -> McpServer:
    return McpServer(command=[sys.executable, str(SERVER), *flags], **options)


def link_to(*servers: McpServer) -> LocalEnvironment:
    class Noting(Environment):
        """Notes kept by an MCP server."""

        @tool
        def greet(self, name: str) -> str:
            """Say hello."""
            return f"Hello {name}"

        def mcp_servers(self, task: Any, session: Session) -> list[McpServer]:
            return list(servers)

        def verify(self, task: Any, response: Response, session: Session) -> float:
            return float("second" in response.final_text)

    return LocalEnvironment(Noting())


async def say(link: LocalEnvironment, session: Session, tool: str, /, **arguments: Any) -> str:
    return await link.call(session, function_call(tool, json.dumps(arguments), call_id="c"))


async def who(link: LocalEnvironment, session: Session) -> dict[str, Any]:
    return json.loads(await say(link, session, "who_am_i"))


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def wait_for_the_end_of(*pids: int) -> None:
    """The kernel takes a moment to carry out a kill."""
    async with asyncio.timeout(60):
        while any(is_alive(pid) for pid in pids):
            await asyncio.sleep(0.01)


@pytest.fixture
def http_server() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [sys.executable, str(SERVER), "--http"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/mcp", process
        process.kill()


async def test_the_tools_of_a_program_join_those_of_the_environment() -> None:
    link = link_to(program())
    async with link.session(ROW) as session:
        tools = {one["name"]: one for one in session.tools}
        assert list(tools) == ["greet", "write", "who_am_i", "refuse", "die", "sleep"]
        assert tools["write"]["description"] == "Write a note down; all there are so far."
        assert tools["write"]["parameters"]["properties"]["text"]["type"] == "string"
        assert await say(link, session, "greet", name="Ann") == "Hello Ann"
        assert "first" in await say(link, session, "write", text="first")
        assert json.loads(await say(link, session, "refuse"))["error"].endswith("the ink is dry")
        assert "Invalid arguments for write" in await link.call(
            session, function_call("write", "[1]", call_id="c")
        )
        assert "Did you mean 'write'" in await say(link, session, "writ")
    assert [one["name"] for one in link.tools] == ["greet"]


async def test_each_session_has_a_program_of_its_own_that_ends_with_it() -> None:
    link = link_to(program())
    async with link.session(ROW) as one, link.session(ROW) as two:
        first, second = await asyncio.gather(who(link, one), who(link, two))
        assert first["pid"] != second["pid"]
        await say(link, one, "write", text="mine")
        assert "mine" not in await say(link, two, "write", text="yours")
        assert is_alive(first["pid"])
    await wait_for_the_end_of(first["pid"], second["pid"])


async def test_only_what_is_named_of_the_environment_is_handed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    link = link_to(program(env={"COLOUR": "red"}))
    async with link.session(ROW) as session:
        said = await who(link, session)
    assert (said["colour"], said["secret"]) == ("red", "")


async def test_an_agent_uses_them_like_any_tool() -> None:
    def answer(params: RequestParams) -> str | list[Item]:
        last: Any = params["input"][-1]
        if last["type"] == "function_call_output":
            return f"noted: {last['output']}"
        assert "write" in [one.get("name") for one in params["tools"]]
        return [function_call("write", '{"text": "second"}', call_id="c")]

    rollout = await ToolLoop().run(ROW, link_to(program()), ScriptedModel(answer))
    assert rollout.reward == 1.0


async def test_a_server_at_a_url_is_used_the_same_way(http_server: tuple[str, Any]) -> None:
    link = link_to(McpServer(url=http_server[0], headers={"x-note": "1"}, tools=["write"], prefix="notes_"))
    async with link.session(ROW) as session:
        assert [one["name"] for one in session.tools] == ["greet", "notes_write"]
        assert "first" in await say(link, session, "notes_write", text="first")


async def test_a_server_on_this_machine_is_no_business_of_a_proxy(
    http_server: tuple[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    link = link_to(McpServer(url=http_server[0], headers={"x-note": "1"}, tools=["write"], prefix="notes_"))
    async with link.session(ROW) as session:
        assert [one["name"] for one in session.tools] == ["greet", "notes_write"]


@pytest.mark.parametrize("kind", ["program", "url"])
async def test_a_server_that_dies_is_an_error_for_the_model(kind: str, http_server: tuple[str, Any]) -> None:
    link = link_to(
        program(name="notes") if kind == "program" else McpServer(url=http_server[0], name="notes")
    )
    async with link.session(ROW) as session:
        process = await who(link, session)
        if kind == "program":
            said = json.loads(await say(link, session, "die"))["error"]
            assert "out of paper" in said
        else:
            os.kill(process["pid"], signal.SIGKILL)
            http_server[1].wait()
            said = json.loads(await say(link, session, "write", text="x"))["error"]
        assert said.startswith("MCP server notes")
        assert "MCP server notes" in json.loads(await say(link, session, "write", text="x"))["error"]
        assert await say(link, session, "greet", name="Ann") == "Hello Ann"


async def test_a_server_that_is_killed_during_a_call_ends_the_call() -> None:
    link = link_to(program(name="notes"))
    async with link.session(ROW) as session:
        pid = (await who(link, session))["pid"]
        calling = asyncio.create_task(say(link, session, "sleep", seconds=600))
        await asyncio.sleep(0.05)
        os.kill(pid, signal.SIGKILL)
        assert "MCP server notes" in json.loads(await calling)["error"]


async def test_a_call_has_the_time_limit_of_any_tool() -> None:
    def answer(params: RequestParams) -> str | list[Item]:
        last: Any = params["input"][-1]
        if last["type"] == "function_call_output":
            return f"second: {last['output']}"
        return [function_call("sleep", '{"seconds": 600}', call_id="c")]

    rollout = await ToolLoop(tool_timeout=0.2).run(ROW, link_to(program()), ScriptedModel(answer))
    assert "did not finish within 0.2 seconds" in str(rollout.response.final_text)


@pytest.mark.parametrize(
    ("server", "problem"),
    [
        (McpServer(command=["/nowhere/notes"]), "MCP server notes is gone: FileNotFoundError"),
        (McpServer(command=[sys.executable, "-c", "raise SystemExit('no licence')"], name="n"), "no licence"),
        (McpServer(url="http://127.0.0.1:9/mcp"), "MCP server 127.0.0.1:9 is gone: ConnectError"),
        (program("--silent", start_timeout_s=0.5, name="n"), "did not list its tools within 0.5 s"),
        (program(tools=["wrote"], name="n"), "MCP server n has no tool 'wrote'. Did you mean 'write'"),
    ],
    ids=["missing", "fails", "nobody listens", "silent", "no such tool"],
)
async def test_a_server_that_cannot_be_used_is_a_typed_failure_at_seed(
    server: McpServer, problem: str
) -> None:
    link = link_to(server)
    with pytest.raises(EnvironmentFault) as caught:
        async with link.session(ROW):
            pass
    assert problem in str(caught.value)
    assert link.open_sessions == 0


async def test_two_tools_of_one_name_are_an_error_that_names_both() -> None:
    with pytest.raises(EnvironmentFault, match="'write' is offered by MCP server one and by MCP server two"):
        await link_to(program(name="one"), program(name="two")).open(ROW)
    with pytest.raises(EnvironmentFault, match="'greet' is offered by the environment itself and by MCP"):
        await link_to(program("--greeting", name="n")).open(ROW)


async def test_nothing_that_a_program_started_outlives_the_session(tmp_path: Path) -> None:
    link = link_to(program("--stubborn", f"--child={tmp_path / 'pid'}"))
    async with link.session(ROW) as session:
        pid = (await who(link, session))["pid"]
        child = int((tmp_path / "pid").read_text())
        assert is_alive(child)
    await wait_for_the_end_of(pid, child)


async def test_a_cancelled_rollout_ends_the_program_too() -> None:
    link = link_to(program())
    pids: list[int] = []

    async def rollout() -> None:
        async with link.session(ROW) as session:
            pids.append((await who(link, session))["pid"])
            await say(link, session, "sleep", seconds=600)

    running = asyncio.create_task(rollout())
    while not pids:
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await wait_for_the_end_of(*pids)
    assert link.open_sessions == 0


async def test_a_rollout_cancelled_while_it_connects_leaves_nothing(tmp_path: Path) -> None:
    link = link_to(program("--silent", f"--child={tmp_path / 'pid'}"))
    opening = asyncio.create_task(link.open(ROW))
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        await asyncio.sleep(0.01)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await wait_for_the_end_of(int((tmp_path / "pid").read_text()))


def test_without_the_sdk_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"uses MCP servers: pip install 'nemo-gym\[mcp\]'"):
        link_to(program())


def test_a_server_is_a_command_or_a_url() -> None:
    for wrong in ({}, {"command": ["x"], "url": "http://h/mcp"}):
        with pytest.raises(UsageError, match="either a command or a url"):
            McpServer(**wrong)
    with pytest.raises(UsageError, match="command is a list"):
        McpServer(command="mcp-server --fast")
    assert "hunter2" not in repr(McpServer(url="http://h/mcp", headers={"authorization": "hunter2"}))
