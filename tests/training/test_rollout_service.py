"""The rollout service: nothing is lost or delivered twice, whatever dies."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from test_rollouts import Adder, solve

from nemo_gym import ask
from nemo_gym.serving.host import Host
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.secrets import Secret
from nemo_gym.serving.sockets import bind, http_url
from nemo_gym.training import Rollouts
from nemo_gym.training.rollout_app import rollout_app
from nemo_gym.training.rollout_client import GroupOfRollouts, RolloutClient, ServiceGone
from nemo_gym.training.rollout_service import RolloutService
from nemo_gym.wire.errors import UsageError
from tests.support.policies import ScriptedPolicy

TASKS = [{"responses_create_params": ask(f"{a} + 2 = ?"), "a": a, "b": 2} for a in range(6)]


@asynccontextmanager
async def serving(folder: Path, *, token: str = "", port: int = 0, **settings: Any) -> AsyncGenerator[str]:
    policy = ScriptedPolicy(solve)
    host = Host()
    async with Rollouts(Adder, policy=policy) as rollouts:
        service = RolloutService(rollouts, folder, **settings)
        listener = bind("127.0.0.1", port, "rollouts")
        url = http_url("127.0.0.1", listener.getsockname()[1])
        app = rollout_app(service, AppOptions(token=Secret(token) if token else None))
        await host.serve("rollouts", app, listener)
        try:
            yield url
        finally:
            await host.stop(["rollouts"], grace_s=0.2)


async def test_a_batch_gives_its_groups_with_full_prompts(tmp_path: Path) -> None:
    async with serving(tmp_path) as url, RolloutClient(url) as client:
        id = await client.submit(TASKS, repeats=2)
        groups = [group async for group in client.groups(id)]
        state = await client.health()
        await client.delete(id)

    assert sorted(group.group for group in groups) == [*range(6)]
    assert [group.seq for group in groups] == [*range(1, 7)]
    for group in groups:
        assert [one.rollout_index for one in group.rollouts] == [0, 1]
        assert [one.reward for one in group.rollouts] == [1.0, 1.0]
        assert {one.task_index for one in group.rollouts} == {group.group}
        for one in group.rollouts:
            assert one.response is not None
            assert len([item for item in one.response.output if "prompt_token_ids" in item]) == 2
    assert len({one.row["_ng_rollout_id"] for group in groups for one in group.rollouts}) == 12
    assert state["batches"][id]["is_over"]
    assert list(tmp_path.iterdir()) == []


async def test_results_come_in_input_order_and_know_their_version(tmp_path: Path) -> None:
    async with serving(tmp_path) as url, RolloutClient(url) as client:
        await client.set_weight_version(7)
        tasks = await client.tasks("train", 3)
        results = await client.collect(tasks)

    assert [one.row["a"] for (one,) in results] == [0, 1, 2]
    assert {tuple(one.row["ng_weight_versions"]) for (one,) in results} == {(7, 7)}


async def test_the_same_order_again_is_the_same_batch(tmp_path: Path) -> None:
    async with serving(tmp_path) as url, RolloutClient(url) as client:
        await client.submit(TASKS, id="step-1")
        await client.submit(TASKS, id="step-1")
        groups = [group async for group in client.groups("step-1")]
        with pytest.raises(UsageError, match="409"):
            await client.submit(TASKS, repeats=2, id="step-1")

    assert len(groups) == len(TASKS)


async def test_a_slow_reader_stops_the_collection(tmp_path: Path) -> None:
    async with serving(tmp_path, ahead=2) as url, RolloutClient(url) as client:
        id = await client.submit(TASKS)
        while (await client.health())["batches"][id]["finished"] < 2:
            await asyncio.sleep(0.01)
        for _ in range(20):
            await asyncio.sleep(0)
        finished = (await client.health())["batches"][id]["finished"]
        groups = [group async for group in client.groups(id)]

    assert finished == 2
    assert len(groups) == len(TASKS)


async def test_a_stopped_service_goes_on_with_its_batches(tmp_path: Path) -> None:
    async with serving(tmp_path, ahead=2) as url, RolloutClient(url) as client:
        id = await client.submit(TASKS)
        first: list[GroupOfRollouts] = []
        async for group in client.groups(id):
            first.append(group)
            if len(first) == 2:
                break
    async with serving(tmp_path) as url, RolloutClient(url) as client:
        rest = [group async for group in client.groups(id, after=first[-1].seq)]
        again = [group async for group in client.groups(id)]

    ids = [group.id for group in (*first, *rest)]
    assert sorted(ids) == sorted(f"{id}-{number}" for number in range(6))
    assert [group.id for group in again] == ids


async def test_a_cancelled_batch_ends_and_stays_so(tmp_path: Path) -> None:
    async with serving(tmp_path, ahead=1) as url, RolloutClient(url) as client:
        id = await client.submit(TASKS)
        await client.cancel(id)
        groups = [group async for group in client.groups(id)]
    async with serving(tmp_path) as url, RolloutClient(url) as client:
        again = [group async for group in client.groups(id)]
        state = (await client.health())["batches"][id]

    assert len(groups) <= 1
    assert len(again) == len(groups)
    assert state["cancelled"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/batches", {"id": "../etc", "tasks": TASKS}, 422),
        ("/batches", {"id": "a", "tasks": []}, 422),
        ("/batches", {"id": "a", "tasks": TASKS, "repeats": 0}, 422),
        ("/batches", {"id": "a", "tasks": [{"responses_create_params": {"input": 3}}]}, 422),
        ("/batches", {"id": "a", "tasks": TASKS, "unknown": 1}, 422),
        ("/batches", [], 422),
        ("/batches/none/cancel", {}, 404),
        ("/weight_version", {"version": "new"}, 422),
        ("/tasks", {"n": 0}, 422),
    ],
)
async def test_wrong_requests_are_refused(tmp_path: Path, path: str, body: Any, status: int) -> None:
    async with serving(tmp_path) as url, httpx.AsyncClient(base_url=url) as client:
        answer = await client.post(path, json=body)

    assert answer.status_code == status
    assert list(tmp_path.iterdir()) == []


async def test_reading_what_is_not_there(tmp_path: Path) -> None:
    async with serving(tmp_path) as url, RolloutClient(url) as client, httpx.AsyncClient(base_url=url) as raw:
        with pytest.raises(UsageError, match="there is no batch 'none'"):
            await anext(client.groups("none"))
        assert (await raw.get("/batches/none/groups?after=-1")).status_code == 422


async def test_strangers_are_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, token="secret") as url:
        async with RolloutClient(url, token="guess") as client:
            with pytest.raises(UsageError, match="401"):
                await client.submit(TASKS)
        async with RolloutClient(url, token="secret") as client:
            assert (await client.health())["status"] == "ok"


async def test_a_service_that_stays_away_is_an_error() -> None:
    listener = bind("127.0.0.1", 0, "nothing")
    url = http_url("127.0.0.1", listener.getsockname()[1])
    listener.close()

    async with RolloutClient(url, patience=0.2) as client:
        with pytest.raises(ServiceGone):
            await client.submit(TASKS)


SLOW = """
import asyncio
from nemo_gym import Environment, ask

class Slow(Environment):
    def tasks(self, split, seed, n):
        return [{"responses_create_params": ask(str(i)), "number": i} for i in range(60)]

    async def verify(self, task, response, session):
        await asyncio.sleep(0.02)
        return float(session.row["number"])
"""


async def test_a_killed_service_is_reconnected_to_and_nothing_comes_twice(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    probe = bind("127.0.0.1", 0, "free port")
    port = probe.getsockname()[1]
    probe.close()
    command = [
        sys.executable, "-m", "nemo_gym", "serve", "rollouts", "slow.py", "--model-type", "random",
        "--concurrency", "2", "--port", str(port),
    ]  # fmt: skip

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)

    process = start()
    try:
        async with RolloutClient(f"http://127.0.0.1:{port}", patience=60) as client:
            id = await client.submit(await client.tasks(n=60), repeats=2)
            groups: list[GroupOfRollouts] = []
            async for group in client.groups(id):
                groups.append(group)
                if len(groups) in (5, 25):
                    os.kill(process.pid, signal.SIGKILL)
                    process.wait()
                    process = start()
    finally:
        process.kill()
        process.wait()

    assert [group.seq for group in groups] == [*range(1, 61)]
    assert sorted(group.group for group in groups) == [*range(60)]
    assert all(one.reward == one.row["number"] for group in groups for one in group.rollouts)
