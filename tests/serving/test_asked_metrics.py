"""Metrics that servers know: asked for after a run, merged into its file, and never in its way."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from conftest import read_rows
from loopback import served
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response as HttpResponse
from starlette.routing import Route

from nemo_gym import Environment, Response, Reward, Session
from nemo_gym.agents.tool_loop import ToolLoop
from nemo_gym.environments.link import EnvironmentLink, LocalEnvironment
from nemo_gym.environments.remote import RemoteEnvironment
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.runs.aggregate import aggregate_rows
from nemo_gym.runs.component_specs import AgentSpec, EnvironmentSpec, ModelSpec
from nemo_gym.runs.remote_metrics import RemoteMetrics
from nemo_gym.runs.report import RunReport
from nemo_gym.runs.run import Job, Run
from nemo_gym.serving.agent_app import agent_app
from nemo_gym.serving.environment_app import environment_app
from nemo_gym.serving.environment_tools import OfferedEnvironment, OfferedTools
from nemo_gym.serving.options import AppOptions
from nemo_gym.transport.exchange import Body
from nemo_gym.wire.jsonl import encode


class Counted(Environment):
    """Scores every second task and counts what it sees."""

    answer_key = "answer"

    def verify(self, task: Any, response: Response, session: Session) -> Reward:
        index = session.row["_ng_task_index"]
        return Reward(float(index % 2), details={"answer": str(index), "speed": 1.5})

    def compute_metrics(self, tasks: list[list[dict[str, Any]]]) -> dict[str, Any]:
        if any("broken" in row for rows in tasks for row in rows):
            raise ZeroDivisionError("nothing to divide")
        per_task = [{"_ng_task_index": rows[0]["_ng_task_index"], "seen": len(rows)} for rows in tasks]
        order = [(row["_ng_task_index"], row["_ng_rollout_index"]) for rows in tasks for row in rows]
        columns = sorted({name for rows in tasks for row in rows for name in row})
        return {"tasks_seen": len(tasks), "order": order, "columns": columns, "per_task_metrics": per_task}

    def get_key_metrics(self, agent_metrics: dict[str, Any]) -> dict[str, Any]:
        return {name: agent_metrics[name] for name in ("mean/reward", "tasks_seen")}


def local() -> LocalEnvironment:
    return LocalEnvironment(Counted())


def environment_server() -> Starlette:
    return environment_app(local(), "counted", AppOptions())


def agent_server(environment: EnvironmentLink) -> Starlette:
    return agent_app(ToolLoop(), environment, ScriptedModel(lambda _: "hello"), "a", AppOptions())


def job(folder: Path, *columns: dict[str, Any], **parts: Any) -> Job:
    rows = [
        {"responses_create_params": {"input": "hi"}, **row}
        for row in columns or [{"n": 0}, {"n": 1}, {"n": 2}]
    ]
    (folder / "tasks.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    here: dict[str, Any] = {"environment": EnvironmentSpec(), "model": ModelSpec("none"), "num_repeats": 2}
    return Job(input=folder / "tasks.jsonl", output=folder / "out.jsonl", **here | parts)


async def run(asked: Job) -> tuple[RunReport, list[str]]:
    running = Run(asked)
    await running.prepare()
    return await running.collect(), running.notes


def metrics_of(folder: Path) -> dict[str, Any]:
    (agent,) = json.loads((folder / "out_aggregate_metrics.json").read_text())
    return agent


@asynccontextmanager
async def by_environment_url() -> AsyncIterator[dict[str, Any]]:
    async with served(environment_server()) as url:
        yield {"environment": EnvironmentSpec(url=url), "model": ModelSpec("random")}


@asynccontextmanager
async def by_agent_url() -> AsyncIterator[dict[str, Any]]:
    async with served(agent_server(local())) as url:
        yield {"agent": AgentSpec("remote_run", {"url": url})}


@asynccontextmanager
async def by_agent_of_another_server() -> AsyncIterator[dict[str, Any]]:
    async with served(environment_server()) as there:
        link = RemoteEnvironment(there)
        async with served(agent_server(link)) as url:
            yield {"agent": AgentSpec("remote_run", {"url": url})}
        await link.aclose()


@asynccontextmanager
async def by_agent_whose_tools_are_offered() -> AsyncIterator[dict[str, Any]]:
    link = local()
    offered = OfferedEnvironment(link, OfferedTools(link, "counted", AppOptions().cookie_secret), "")
    async with served(agent_server(offered)) as url:
        yield {"agent": AgentSpec("remote_run", {"url": url})}


@pytest.mark.parametrize(
    "through",
    [by_environment_url, by_agent_url, by_agent_of_another_server, by_agent_whose_tools_are_offered],
)
async def test_a_run_through_servers_has_the_metrics_of_one_in_this_process(
    through: Callable[[], Any], tmp_path: Path
) -> None:
    async with through() as parts:
        report, notes = await run(job(tmp_path, **parts))

    found = metrics_of(tmp_path)
    here = metrics_here(read_rows(tmp_path / "out.jsonl"))
    assert found["agent_metrics"] == here["agent_metrics"]
    assert found["agent_metrics"]["order"] == [[task, repeat] for task in range(3) for repeat in range(2)]
    assert {"response", "speed", "reward"} <= set(found["agent_metrics"]["columns"])
    assert "responses_create_params" not in found["agent_metrics"]["columns"]
    assert found["key_metrics"] == {"mean/reward": pytest.approx(1 / 3), "tasks_seen": 3}
    assert found["group_level_metrics"] == here["group_level_metrics"]
    assert report.key_metrics == {found["agent_ref"]["name"]: found["key_metrics"]}
    assert not any("warning" in note for note in notes)


def metrics_here(rows: list[dict[str, Any]]) -> dict[str, Any]:
    found = aggregate_rows(rows, answer_key=Counted.answer_key, hooks=Counted())
    return json.loads(encode(found))


async def test_servers_that_have_no_metrics_cost_a_warning_and_nothing_else(tmp_path: Path) -> None:
    async with by_agent_url() as parts:
        report, notes = await run(job(tmp_path, {"broken": True}, {"n": 1}, **parts))

    assert report.manifest.status == "complete"
    found = metrics_of(tmp_path)
    assert found["key_metrics"]["mean/reward"] == 0.5
    assert "tasks_seen" not in found["agent_metrics"]
    (warning,) = [note for note in notes if note.startswith("warning: ")]
    assert "remote_run: " in warning
    assert "/aggregate_metrics answered HTTP 500: " in warning
    assert "nothing to divide" in warning


async def test_nobody_is_asked_when_aggregation_is_disabled(tmp_path: Path) -> None:
    async with by_agent_url() as parts:
        report, notes = await run(job(tmp_path, {"broken": True}, disable_aggregation=True, **parts))

    assert not (tmp_path / "out_aggregate_metrics.json").exists()
    assert report.key_metrics == {}
    assert not any("warning" in note for note in notes)


async def test_a_stop_while_servers_are_asked_ends_the_asking(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def never(request: Request) -> HttpResponse:
        asked.set()
        await asyncio.Event().wait()
        return HttpResponse()

    app = agent_server(local())
    app.router.routes.insert(0, Route("/aggregate_metrics", never, methods=["POST"]))
    async with served(app) as url:
        running = Run(job(tmp_path, agent=AgentSpec("remote_run", {"url": url})))
        await running.prepare()
        collecting = asyncio.create_task(running.collect())
        async with asyncio.timeout(60):
            await asked.wait()
        running.stop("interrupted", "interrupted")
        report = await collecting

    assert (report.manifest.status, report.summary.scored) == ("complete", 6)
    assert "there was no time to ask" in running.notes[-1]
    assert metrics_of(tmp_path)["agent_metrics"]["mean/reward"] == pytest.approx(1 / 3)


ANSWERS = {
    "no JSON": (b"<html>", "something else than metrics"),
    "an array": (b"[]", "something else than metrics"),
    "no metrics": (b"{}", "agent_metrics"),
    "a group without a task": (b'{"agent_metrics": {"a": 1}, "group_level_metrics": [{}]}', "_ng_task_index"),
    "nested deeply": (b'{"agent_metrics": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}", "recursion"),
    "a warning": (b'{"agent_metrics": {}, "key_metrics": {}, "warning": "skipped"}', "skipped"),
}


@pytest.mark.parametrize(("answer", "problem"), ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_that_is_none_leaves_our_own_metrics(answer: bytes, problem: str) -> None:
    asked = await asked_about(answer)

    assert problem in asked.problems["a"]
    assert asked.compute("a") == ({}, {})
    assert asked.key_metrics("a", {"mean/reward": 1.0, "max/reward": 1.0}) == {"mean/reward": 1.0}


async def test_what_was_asked_for_is_known_better_here() -> None:
    group = {
        "_ng_task_index": 0,
        "num_rollouts": 9,
        "mean/reward": 9.0,
        "mean/ease": 1.0,
        "rollout_infos": [1],
    }
    said = {
        "agent_metrics": {"coverage/requested": 9, "mean/reward": 0.5, "pass@1/ease": 3.0},
        "key_metrics": {"coverage/requested": 9, "pass@1/ease": 3.0},
        "group_level_metrics": [group],
    }

    asked = await asked_about(encode(said))

    assert asked.problems == {}
    assert asked.compute("a") == ({"mean/reward": 0.5, "pass@1/ease": 3.0}, {0: {"mean/ease": 1.0}})
    assert asked.key_metrics("a", {}) == {"pass@1/ease": 3.0}


async def asked_about(answer: bytes) -> RemoteMetrics:
    async def ask(agent: str, body: Body) -> bytes:
        return answer

    asked = RemoteMetrics(ask)
    asked.add("a", 0, 0, {"reward": msgspec.Raw(b"1.0")})
    await asked.ask({"a": {"reward"}})
    asked.close()
    return asked


async def test_rows_wait_outside_of_memory() -> None:
    line = encode(
        {"reward": 1.0, "notes": "x" * 5_000, "response": {"output": ["y" * 20_000], "usage": None}}
    )
    raws = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    sent = 0

    async def ask(agent: str, body: Body) -> bytes:
        nonlocal sent
        assert callable(body)
        async for piece in body():
            sent += len(piece)
        return b'{"agent_metrics": {}}'

    asked = RemoteMetrics(ask)
    tracemalloc.start()
    for task in range(4_000):
        asked.add("a", task, 0, raws)
    await asked.ask({"a": {"reward"}})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    asked.close()

    assert 4_000 * 5_000 < sent < 4_000 * 5_200
    assert peak < 5_000_000
