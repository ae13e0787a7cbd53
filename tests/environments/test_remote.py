"""An environment at a URL, against a server process that hands out a new cookie with every answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from conftest import StartServer

from nemo_gym.agents.tool_loop import ToolLoop
from nemo_gym.environments.openapi_description import MAX_STEPS, Description, fetch_description, read_openapi
from nemo_gym.environments.remote import RemoteEnvironment
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.transport.exchange import Timeouts
from nemo_gym.transport.retry import Retry
from nemo_gym.wire.errors import (
    EnvironmentFault,
    GymError,
    RolloutError,
    ServerTimeout,
    ServerUnreachable,
    UsageError,
    VerifierFault,
)
from nemo_gym.wire.items import function_call
from nemo_gym.wire.response import Response

QUICK = Retry(attempts=3, budget=60.0, base=0.01, cap=0.05)


@pytest.fixture
async def link(server_url: str) -> AsyncIterator[RemoteEnvironment]:
    link = RemoteEnvironment(server_url, retry=QUICK)
    yield link
    await link.aclose()


@pytest.fixture
async def game(start_server: StartServer) -> AsyncIterator[RemoteEnvironment]:
    url, _ = start_server(steps=1)
    link = RemoteEnvironment(url, about=await fetch_description(url), retry=QUICK)
    yield link
    await link.aclose()


def row(**fields: Any) -> dict[str, Any]:
    """A row; the server counts the requests for each by its id."""
    return {"responses_create_params": {"input": "hi"}, "expected": "x", "task_id": uuid4().hex, **fields}


async def test_every_request_carries_the_cookie_of_the_answer_before(link: RemoteEnvironment) -> None:
    async with link.session(row()) as session:
        await link.call(session, function_call("add", '{"n": 1}', call_id="1"))
        output = await link.call(session, function_call("get", "", call_id="2"))
        reward = await link.verify(session, Response.of([]))

    assert json.loads(output) == [["add", '{"n": 1}'], ["get", "{}"]]
    assert reward.value == 2.0
    assert reward.details == {"calls": ["add", "get"], "expected": "changed"}


async def test_the_body_is_the_tool_output_whatever_the_status(link: RemoteEnvironment) -> None:
    async with link.session(row(trouble={"/add": "500"})) as session:
        assert (
            await link.call(session, function_call("missing", "{}", call_id="1")) == '{"detail":"Not Found"}'
        )
        assert await link.call(session, function_call("add", "{}", call_id="2")) == "\"ValueError('boom')\""


@pytest.mark.parametrize("name", ["verify", "seed_session", "..", "a/b", "a?b", "", "é", "aggregate_metrics"])
async def test_a_call_that_is_no_tool_never_reaches_the_server(link: RemoteEnvironment, name: str) -> None:
    async with link.session(row()) as session:
        assert "There is no tool" in await link.call(session, function_call(name, "{}", call_id="1"))
        reward = await link.verify(session, Response.of([]))

    assert reward.value == 0.0


@pytest.mark.parametrize("arguments", ["{", "NaN", '{"a": "\ud800"}', "[" * 100_000])
async def test_broken_arguments_are_an_answer_to_the_model(link: RemoteEnvironment, arguments: str) -> None:
    async with link.session(row()) as session:
        output = await link.call(session, function_call("add", arguments, call_id="1"))

    assert "Invalid tool call arguments" in json.loads(output)["error"]


@pytest.mark.parametrize(
    ("kind", "error", "status"),
    [
        ("500", VerifierFault, 500),
        ("422", VerifierFault, 422),
        ("503", VerifierFault, 503),
        ("302", VerifierFault, 302),
        ("garbage", VerifierFault, None),
        ("list", VerifierFault, None),
        ("deep", VerifierFault, None),
        ("empty", VerifierFault, None),
        ('{"reward": "high"}', VerifierFault, None),
        ('{"reward": null}', VerifierFault, None),
        ('{"reward": 1, "reward_components": 3}', VerifierFault, None),
    ],
)
async def test_a_verifier_that_fails_is_a_typed_failure_and_is_asked_once(
    link: RemoteEnvironment, kind: str, error: type[RolloutError], status: int | None
) -> None:
    with pytest.raises(error) as caught:
        async with link.session(row(trouble={"/verify": kind})) as session:
            await link.verify(session, Response.of([]))

    assert type(caught.value) is error
    assert caught.value.http_status == status


async def test_a_server_that_dies_in_its_verifier_is_unreachable(start_server: StartServer) -> None:
    link = RemoteEnvironment(start_server()[0], retry=QUICK)
    with pytest.raises(ServerUnreachable) as caught:
        async with link.session(row(trouble={"/verify": "die"})) as session:
            await link.verify(session, Response.of([]))
    await link.aclose()

    assert caught.value.http_status is None


async def test_a_verifier_that_does_not_answer_in_time_is_one_too(start_server: StartServer) -> None:
    link = RemoteEnvironment(start_server()[0], timeouts=Timeouts.of(2.0), retry=QUICK)
    with pytest.raises(ServerTimeout) as caught:
        async with link.session(row(trouble={"/verify": "hang"})) as session:
            await link.verify(session, Response.of([]))
    await link.aclose()

    assert caught.value.http_status is None


async def test_a_failed_judge_is_the_failure_that_the_server_names(link: RemoteEnvironment) -> None:
    verdict = {"reward": 0.0, "_ng_failure_class": "judge_failed", "_ng_failure_judge_error": "Timeout: late"}
    with pytest.raises(RolloutError, match="Timeout: late") as caught:
        async with link.session(row(trouble={"/verify": json.dumps(verdict)})) as session:
            await link.verify(session, Response.of([]))

    assert caught.value.failure_class == "judge_failed"


async def test_seeding_is_tried_again_when_the_server_is_busy(link: RemoteEnvironment) -> None:
    async with link.session(row(trouble={"/seed_session": "once:503"})) as session:
        assert (await link.verify(session, Response.of([]))).value == 0.0


async def test_seeding_that_keeps_failing_is_a_typed_failure(link: RemoteEnvironment) -> None:
    with pytest.raises(EnvironmentFault):
        async with link.session(row(trouble={"/seed_session": "500"})):
            pass


async def test_seeding_that_is_never_answered_is_a_typed_failure(start_server: StartServer) -> None:
    link = RemoteEnvironment(start_server()[0], timeouts=Timeouts.of(0.5), retry=QUICK)
    with pytest.raises(ServerTimeout):
        async with link.session(row(trouble={"/seed_session": "hang"})):
            pass
    await link.aclose()


async def test_a_tool_call_is_never_sent_twice_when_it_may_have_been_carried_out(
    start_server: StartServer,
) -> None:
    url, _ = start_server()
    link = RemoteEnvironment(url, timeouts=Timeouts.of(2.0), retry=QUICK)
    async with link.session(row(trouble={"/add": "hang"}, task_id="t")) as session:
        with pytest.raises(ServerTimeout):
            await link.call(session, function_call("add", "{}", call_id="1"))
    await link.aclose()

    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{url}/seen")).json()["t /add"] == 1


async def test_a_dead_server_is_unreachable_and_not_a_tool_output(start_server: StartServer) -> None:
    url, process = start_server()
    link = RemoteEnvironment(url, retry=QUICK)
    async with link.session(row()) as session:
        process.kill()
        process.wait()
        with pytest.raises(ServerUnreachable, match=url):
            await link.call(session, function_call("add", "{}", call_id="1"))
    await link.aclose()


async def test_calls_side_by_side_keep_their_order_and_end_together(start_server: StartServer) -> None:
    url, _ = start_server()
    link = RemoteEnvironment(url, retry=QUICK)
    calls = [function_call(name, "{}", call_id=name) for name in ("one", "two", "three")]
    model = ScriptedModel(lambda params: "done" if len(params["input"]) > 1 else list(calls))

    rollout = await ToolLoop().run(row(), link, model)
    with pytest.raises(ServerUnreachable):
        await ToolLoop().run(row(trouble={"/one": "die"}), link, model)
    left = asyncio.all_tasks()
    await link.aclose()

    assert rollout.details["calls"] == ["one", "two", "three"]
    assert left == {asyncio.current_task()}


async def test_a_game_is_reset_stepped_and_closed(game: RemoteEnvironment) -> None:
    async with game.session(row()) as session:
        first = await game.reset(session)
        steps = [await game.step(session, Response.of([])) for _ in range(3)]

    assert (first.text, first.info) == ("go", {})
    assert [step.terminated for step in steps] == [False, False, True]
    assert steps[2].info["ids"] == 3
    assert session.cleanup_warning is None


async def test_a_close_that_fails_is_a_warning(game: RemoteEnvironment) -> None:
    async with game.session(row(trouble={"/close": "500"})) as session:
        await game.reset(session)

    assert session.cleanup_warning is not None
    assert session.cleanup_warning["operation"] == "close"


async def test_a_numbered_step_is_sent_again_when_the_server_is_busy(game: RemoteEnvironment) -> None:
    async with game.session(row(trouble={"/step": "once:503"})) as session:
        await game.reset(session)
        assert (await game.step(session, Response.of([]))).reward == 0.5


@pytest.mark.parametrize(
    "answer", ['{"reward": "x"}', '{"info": {"tool_outputs": [{"call_id": 3}]}}', "list"]
)
async def test_a_step_that_makes_no_sense_is_an_environment_fault(
    game: RemoteEnvironment, answer: str
) -> None:
    async with game.session(row(trouble={"/step": answer})) as session:
        await game.reset(session)
        with pytest.raises(EnvironmentFault, match="/step"):
            await game.step(session, Response.of([]))


async def test_the_form_of_a_server_is_read_from_its_description(start_server: StartServer) -> None:
    assert not (await fetch_description(start_server()[0])).steps
    assert (await fetch_description(start_server(steps=1)[0])).steps
    about = {"x-nemo-gym": {"kind": "environment", "max_steps": 7}}
    assert read_openapi({"paths": {"/reset": {}, "/step": {}}, "info": about}) == Description(True, 7)
    assert read_openapi({"paths": {}, "info": {}}) == Description(False, MAX_STEPS)


async def test_nobody_at_the_url_is_one_clear_line() -> None:
    with pytest.raises(GymError, match=r"no resources server at http://127.0.0.1:1: .*refused"):
        await fetch_description("http://127.0.0.1:1")
    with pytest.raises(UsageError, match="resources server URL"):
        await fetch_description("localhost:1")
