"""Existing servers as environments of this package: without sockets, and started as programs."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from nemo_gym import collect
from nemo_gym.compat.config_types import ConfigError
from nemo_gym.compat.mcp_auto_exposure import maybe_auto_expose
from nemo_gym.environments.discovery import find_environment, reference, resolve_reference
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.wire.items import assistant, function_call
from nemo_gym.wire.response import Response

SERVERS = Path(__file__).parent / "servers"


def environment(name: str, **settings: Any) -> LocalEnvironment:
    return LocalEnvironment(find_environment(str(SERVERS / name / "app.py"))(settings))


def row(**columns: Any) -> dict[str, Any]:
    return {"responses_create_params": {"input": [{"role": "user", "content": "Go."}]}, **columns}


async def test_a_server_is_seeded_called_and_asked_to_verify_in_its_session() -> None:
    link = environment("counter")
    async with link.session(row(start=3, target=5)) as session:
        assert json.loads(await link.call(session, function_call("add", '{"amount": 2}', call_id="c"))) == {
            "count": 5
        }
        assert (await link.verify(session, Response.of([assistant("done")]))).value == 1.0
    assert link.environment._server.counts == {}


async def test_many_sessions_at_once_stay_apart() -> None:
    link = environment("counter")

    async def play(start: int) -> float:
        async with link.session(row(start=start, target=start + 2)) as session:
            for _ in range(2):
                await link.call(session, function_call("add", '{"amount": 1}', call_id="c"))
            return (await link.verify(session, Response.of([]))).value

    assert await asyncio.gather(*(play(start) for start in range(64))) == [1.0] * 64


async def test_the_routes_are_the_tools() -> None:
    link = environment("weather")
    async with link.session(row(expected="snow")) as session:
        (tool,) = session.tools
        assert (tool["name"], tool["description"]) == (
            "get_forecast",
            "The weather of the coming days in a city.",
        )
        assert tool["parameters"]["required"] == ["city"]


async def test_a_route_that_takes_any_name_is_called_too() -> None:
    link = environment("dispatch")
    async with link.session(row()) as session:
        assert await link.call(session, function_call("add", '{"a": 1, "b": 2}', call_id="c")) == "3"
        assert "no tool" in await link.call(session, function_call("nothing", "{}", call_id="c"))


async def test_a_tool_that_raises_is_text_for_the_model() -> None:
    link = environment("brittle", backend={"type": "resources_servers", "name": "x"})
    async with link.session(row()) as session:
        assert "11 is too much" in await link.call(
            session, function_call("lift", '{"load": 11}', call_id="c")
        )


async def test_the_reset_and_step_form_is_played_to_its_end() -> None:
    link = environment("guess")
    assert link.steps
    async with link.session(row(number=7)) as session:
        assert (await link.reset(session)).text == "Guess a number."
        assert (await link.step(session, Response.of([assistant("5")]))).observation == "higher"
        won = await link.step(session, Response.of([assistant("7")]))
        assert (won.reward, won.terminated) == (1.0, True)


async def test_a_lifespan_begins_before_the_first_request_and_ends_with_the_link() -> None:
    link = environment("notebook")
    state = link.environment._link._service._connections._fastapi.state
    async with link.session(row()) as session:
        assert (
            await link.call(session, function_call("write_note", '{"text": "x"}', call_id="c"))
            == "note 1 written"
        )
    assert state.open
    await link.aclose()
    assert not state.open


def test_wrong_settings_are_one_message() -> None:
    with pytest.raises(ConfigError) as caught:
        environment("tolerance", on_failure="shrug")
    assert (
        str(caught.value) == "settings of tolerance_server: on_failure: Input should be 'zero' or 'negative'"
    )


def test_another_process_finds_the_class_again() -> None:
    kind = find_environment(str(SERVERS / "weather" / "app.py"))
    found = reference(kind)
    assert found is not None
    assert resolve_reference(found) is kind


async def test_a_run_collects_from_it_and_keeps_its_columns() -> None:
    rows = [row(expected_answer=answer, subject="sums") for answer in ("4", "5")]
    grader = str(SERVERS / "grader" / "app.py")
    rollouts = [
        one async for one in collect(grader, ScriptedModel(lambda _: "It is 4."), rows, num_repeats=2)
    ]
    assert sorted((one.task_index, one.reward) for one in rollouts) == [
        (0, 1.0),
        (0, 1.0),
        (1, 0.0),
        (1, 0.0),
    ]
    assert all(one.details["extracted_answer"] == "4" for one in rollouts)


def test_the_switch_finds_the_tools_and_asks_the_hook() -> None:
    link = environment("lookup", expose_tools_over_mcp=True)
    server = link.environment._server
    ((name, tool),) = maybe_auto_expose(server, server.setup_webserver()).items()
    assert (name, tool.description) == ("look_up", "Look a word up in the table.")
    assert tool.schema["properties"]["key"]["description"] == "What to look up."


def test_with_the_switch_off_nothing_is_offered() -> None:
    server = environment("lookup").environment._server
    assert maybe_auto_expose(server, server.setup_webserver()) is None


@pytest.mark.parametrize("workers", [1, 2])
def test_a_module_started_by_the_contract_serves_its_instance(workers: int) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    block = {
        "entrypoint": "app.py",
        "domain": "math",
        "host": "127.0.0.1",
        "port": port,
        "num_workers": workers,
    }
    tree = {
        "sums": {"resources_servers": {"arithmetic": {**block, "slack": 0.5}}},
        "server_token": "let-me-in",
    }
    process = subprocess.Popen(
        [sys.executable, "app.py"],
        cwd=SERVERS / "arithmetic",
        env={**os.environ, "NEMO_GYM_CONFIG_DICT": json.dumps(tree), "NEMO_GYM_CONFIG_PATH": "sums"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        assert post(port, "/seed_session", {}, token="let-me-in", patience_s=120.0) == (200, {})
        assert post(port, "/seed_session", {}, token="guess")[0] == 401
        status, problem = post(port, "/verify", {"expected": "x"}, token="let-me-in")
        assert status == 422
        assert problem["detail"][0]["loc"][0] == "body"
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert b"Traceback" not in errors


def test_a_server_that_strangers_could_reach_needs_a_token() -> None:
    tree = {
        "sums": {"resources_servers": {"arithmetic": {"entrypoint": "app.py", "host": "0.0.0.0", "port": 1}}}
    }
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=SERVERS / "arithmetic",
        env={**os.environ, "NEMO_GYM_CONFIG_DICT": json.dumps(tree), "NEMO_GYM_CONFIG_PATH": "sums"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert "server_token" in done.stderr


def post(port: int, path: str, body: Any, *, token: str, patience_s: float = 0.0) -> tuple[int, Any]:
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    sent = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), headers)
    give_up = time.monotonic() + patience_s
    while True:
        try:
            with urllib.request.urlopen(sent, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except urllib.error.URLError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.05)
