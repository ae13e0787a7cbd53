"""An agent server at a URL, in a process of its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from conftest import StartServer

from nemo_gym.agents.remote_run import RemoteRun
from nemo_gym.environments.base import Environment
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.models.no_model import NoModel
from nemo_gym.wire.errors import GymError, RolloutError, ServerTimeout, ServerUnreachable, UsageError
from nemo_gym.wire.rollout import Rollout, take_partial

MESSAGE = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]}


@pytest.fixture
async def agent(server_url: str) -> AsyncIterator[RemoteRun]:
    agent = RemoteRun(url=server_url, timeout=60)
    yield agent
    await agent.aclose()


def row(trouble: object = None, **fields: Any) -> dict[str, Any]:
    params = {"input": [{"role": "user", "content": "say hi"}]}
    stamps = {"_ng_task_index": 3, "_ng_rollout_index": 1, "agent_ref": {"name": "a"}}
    if trouble is not None:
        fields["trouble"] = {"/run": trouble if isinstance(trouble, str) else json.dumps(trouble)}
    return {"responses_create_params": params, **stamps, **fields}


async def run(agent: RemoteRun, given: dict[str, Any]) -> Rollout:
    return await agent.run(given, LocalEnvironment(Environment()), NoModel())


async def test_what_run_answers_is_the_rollout(agent: RemoteRun) -> None:
    await agent.check()
    rollout = await run(agent, row(expected="x"))

    assert rollout.reward == 1.0
    assert rollout.response is not None
    assert rollout.response.output_text == "say hi"
    line = rollout.to_row()
    assert (line["_ng_task_index"], line["_ng_rollout_index"]) == (3, 1)
    assert (line["expected"], line["graded_by"]) == ("x", "them")


@pytest.mark.parametrize(
    ("kind", "message", "status"),
    [
        ("500", "boom", 500),
        ("422", "missing", 422),
        ("503", "busy", 503),
        ("302", "HTTP 302", 302),
        ("garbage", "not JSON", None),
        ("deep", "nested too deeply", None),
        ("list", "expected a JSON object", None),
        ("empty", "no reward", None),
        ({"reward": 1}, "no `output`", None),
        ({"reward": 1, "response": {"output": [{"type": "message"}]}}, r"output\[0\]", None),
        ({"reward": 1, "response": {"output": [], "incomplete_details": 3}}, "incomplete_details", None),
        ({"reward": 1, "response": {"output": []}, "reward_components": [1]}, "reward_components", None),
    ],
)
async def test_an_answer_that_is_no_result_is_a_typed_failure(
    agent: RemoteRun, kind: object, message: str, status: int | None
) -> None:
    with pytest.raises(RolloutError, match=message) as caught:
        await run(agent, row(kind))

    assert caught.value.failure_class == "run_error"
    assert caught.value.http_status == status


async def test_a_reward_that_is_no_number_is_a_typed_failure(agent: RemoteRun) -> None:
    with pytest.raises(RolloutError, match="not a number"):
        await run(agent, row({"reward": "high", "response": {"output": []}}))


async def test_a_failure_that_the_server_names_keeps_its_class_and_what_was_done(agent: RemoteRun) -> None:
    result = {
        "reward": 0.0,
        "response": {"output": [MESSAGE]},
        "_ng_failure_class": "sandbox_error",
        "_ng_failure_terminal": True,
        "error": "out of memory",
    }
    with pytest.raises(RolloutError, match="out of memory") as caught:
        await run(agent, row(result))

    assert (caught.value.failure_class, caught.value.terminal) == ("sandbox_error", True)
    partial = take_partial(caught.value, row(result)).response
    assert partial is not None
    assert partial.output_text == "a"


async def test_a_failure_counts_whatever_comes_with_it(agent: RemoteRun) -> None:
    with pytest.raises(RolloutError) as caught:
        await run(agent, row({"_ng_failure_class": "skipped", "response": "none", "reward": 1}))
    assert caught.value.failure_class == "skipped"
    with pytest.raises(RolloutError, match="shut down"):
        await run(agent, row({"_ng_no_persist": True, "response": {"output": []}, "reward": 1}))


async def test_an_answer_cannot_take_another_rollouts_place(agent: RemoteRun) -> None:
    result = {"reward": 0.5, "response": {"output": []}, "_ng_task_index": 99, "agent_ref": {"name": "evil"}}
    line = (await run(agent, row(result))).to_row()

    assert line["_ng_task_index"] == 3
    assert line["agent_ref"] == {"name": "a"}


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        ({"terminated": True}, "terminated"),
        ({"truncated": True}, "truncated"),
        ({"ng_outcome": "max_steps"}, "max_steps"),
        (
            {"response": {"output": [], "incomplete_details": {"reason": "max_output_tokens"}}},
            "max_output_tokens",
        ),
    ],
)
async def test_the_outcome_is_read_from_the_result(
    agent: RemoteRun, result: dict[str, Any], outcome: str
) -> None:
    rollout = await run(agent, row({"reward": 0, "response": {"output": []}, **result}))

    assert rollout.outcome == outcome


async def test_a_usage_that_cannot_be_counted_with_is_dropped(agent: RemoteRun) -> None:
    rollout = await run(
        agent, row({"reward": 0, "response": {"output": [], "usage": {"output_tokens": "many"}}})
    )

    assert rollout.response is not None
    assert rollout.response.usage is None


async def test_a_server_that_hangs_is_a_typed_failure(start_server: StartServer) -> None:
    agent = RemoteRun(url=start_server()[0], timeout=1)
    with pytest.raises(ServerTimeout):
        await run(agent, row("hang"))
    await agent.aclose()


async def test_a_server_that_dies_is_a_typed_failure(start_server: StartServer) -> None:
    agent = RemoteRun(url=start_server()[0])
    with pytest.raises(ServerUnreachable):
        await run(agent, row("die"))
    await agent.aclose()


async def test_a_head_server_says_where_each_row_goes(start_server: StartServer) -> None:
    one, two = start_server()[0], start_server()[0]
    config = {
        name: {"responses_api_agents": {"x": {"host": "127.0.0.1", "port": int(url.rpartition(":")[2])}}}
        for name, url in (("one", one), ("two", two))
    }
    head, _ = start_server(head=json.dumps({"/global_config_dict_yaml": json.dumps(config)}))
    agent = RemoteRun(head_url=head, agent="two")
    await agent.check()

    agent.check_row({"agent_ref": {"name": "one"}})
    agent.check_row({})
    with pytest.raises(UsageError, match="no agent 'thre'"):
        agent.check_row({"agent_ref": {"name": "thre"}})
    for name in ("one", "two"):
        assert (await run(agent, {**row(), "agent_ref": {"name": name}})).reward == 1.0
    await agent.aclose()


async def test_a_row_for_no_agent_is_refused_with_the_agents_there_are(start_server: StartServer) -> None:
    config = {"one": {"responses_api_agents": {"x": {"host": "127.0.0.1", "port": 1}}}}
    head, _ = start_server(head=json.dumps({"/global_config_dict_yaml": json.dumps(config)}))
    agent = RemoteRun(head_url=head)
    await agent.check()

    with pytest.raises(UsageError, match=r"name an agent\. Known: one"):
        agent.check_row({})
    with pytest.raises(UsageError, match="no agent 'other'"):
        await RemoteRun(head_url=head, agent="other").check()


async def test_nobody_at_the_url_is_known_before_the_run() -> None:
    agent = RemoteRun(url="http://127.0.0.1:1")
    with pytest.raises(GymError, match=r"no agent server at http://127.0.0.1:1"):
        await agent.check()
    await agent.aclose()
    with pytest.raises(UsageError, match="URL of an agent server or of a head server"):
        RemoteRun()
