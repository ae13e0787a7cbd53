"""The rollout service: nothing is lost or delivered twice, whatever dies."""

from __future__ import annotations

import asyncio
import json
import os
import resource
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

from nemo_gym import Environment, Response, Session, ask
from nemo_gym.serving.host import Host
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.secrets import Secret
from nemo_gym.serving.sockets import bind, http_url
from nemo_gym.training import Rollouts
from nemo_gym.training.batch_files import FinishedGroup, Order
from nemo_gym.training.rollout_app import rollout_app
from nemo_gym.training.rollout_client import BatchFailed, GroupOfRollouts, RolloutClient, ServiceGone
from nemo_gym.training.rollout_service import RolloutService
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.jsonl import encode
from tests.support.policies import ScriptedPolicy

TASKS = [{"responses_create_params": ask(f"{a} + 2 = ?"), "a": a, "b": 2} for a in range(6)]


@asynccontextmanager
async def serving(
    folder: Path,
    *,
    environment: type[Environment] = Adder,
    token: str = "",
    port: int = 0,
    **settings: Any,
) -> AsyncGenerator[str]:
    policy = ScriptedPolicy(solve)
    host = Host()
    async with Rollouts(environment, policy=policy) as rollouts:
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


async def test_a_batch_goes_on_for_a_reader_that_has_seen_everything_before_the_kill(tmp_path: Path) -> None:
    held = asyncio.Event()

    class Held(Adder):
        async def verify(self, task: Adder.Task, response: Response, session: Session) -> float:
            if task.a > 1:
                await held.wait()
            return 1.0

    async with serving(tmp_path, environment=Held, ahead=2) as url, RolloutClient(url) as client:
        id = await client.submit(TASKS)
        groups = client.groups(id)
        seen = [(await anext(groups)).seq for _ in range(2)]
        await groups.aclose()
    held.set()
    async with serving(tmp_path, environment=Held, ahead=2) as url, RolloutClient(url) as client:
        rest = [group.seq async for group in client.groups(id, after=2)]

    assert seen + rest == [*range(1, 7)]


async def test_a_group_that_ends_while_another_is_sent_is_not_waited_for(tmp_path: Path) -> None:
    async with Rollouts(Adder, policy=ScriptedPolicy(solve)) as rollouts:
        service = RolloutService(rollouts, tmp_path, ping_s=3600)
        await service.start()
        service.submit(Order("a", TASKS[:2]))
        lines = service.read("a", 0)
        first = await anext(lines)
        while not service.state()["batches"]["a"]["is_over"]:
            await asyncio.sleep(0)
        rest = [line async for line in lines]
        await service.aclose()

    events = [json.loads(line) for line in (first, *rest)]
    assert [event.get("seq") for event in events] == [1, 2, None]
    assert events[-1] == {"end": True, "groups": 2, "cancelled": False, "error": ""}


async def test_a_batch_that_fails_is_an_error_and_goes_on_when_it_is_ordered_again(tmp_path: Path) -> None:
    tasks = [{**task, "text": "x" * 20_000} for task in TASKS]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with serving(tmp_path, ahead=1) as url, RolloutClient(url) as client:
        id = await client.submit(tasks, id="a")
        groups = client.groups(id)
        resource.setrlimit(resource.RLIMIT_FSIZE, (80_000, limits[1]))
        try:
            with pytest.raises(BatchFailed, match="can't be written: File too large"):
                seen = [group.seq async for group in groups]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        failed = (await client.health())["batches"][id]
        await client.submit(tasks, id="a")
        seen = [group.seq async for group in client.groups(id)]

    assert 0 < failed["finished"] < 6
    assert seen == [*range(1, 7)]


async def test_what_a_killed_deletion_left_is_not_of_a_new_batch(tmp_path: Path) -> None:
    (tmp_path / "a.groups.jsonl").write_bytes(encode(FinishedGroup("a-0", 0, [])) + b"\n")
    (tmp_path / "a.cancelled").touch()

    async with serving(tmp_path) as url, RolloutClient(url) as client:
        await client.submit(TASKS, id="a")
        groups = [group async for group in client.groups("a")]

    assert sorted(group.group for group in groups) == [*range(6)]
    assert all(len(group.rollouts) == 1 for group in groups)


async def test_two_services_in_a_folder_do_not_take_each_others_batch(tmp_path: Path) -> None:
    async with serving(tmp_path) as one, RolloutClient(one) as client, serving(tmp_path) as other:
        await client.submit(TASKS, id="a")
        async with RolloutClient(other) as stranger:
            with pytest.raises(UsageError, match="is being written by another"):
                await stranger.submit(TASKS[:1], id="a")

    order = json.loads((tmp_path / "a.order.json").read_bytes())
    assert len(order["tasks"]) == 6


async def test_a_full_disk_refuses_an_order_and_leaves_nothing(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with serving(tmp_path) as url, RolloutClient(url) as client:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        try:
            with pytest.raises(UsageError, match=r"a\.order\.json can't be written: File too large"):
                await client.submit(TASKS, id="a")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        left = list(tmp_path.iterdir())
        await client.submit(TASKS, id="a")
        groups = [group async for group in client.groups("a")]

    assert left == []
    assert len(groups) == 6


async def test_a_client_that_is_cancelled_leaves_no_batch(tmp_path: Path) -> None:
    asked = asyncio.Event()

    class Held(Adder):
        async def verify(self, task: Adder.Task, response: Response, session: Session) -> float:
            asked.set()
            await asyncio.Event().wait()
            return 1.0

    async with serving(tmp_path, environment=Held) as url, RolloutClient(url) as client:
        work = asyncio.create_task(client.collect(TASKS))
        await asked.wait()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        state = await client.health()

    assert work.cancelled()
    assert state["batches"] == {}
    assert list(tmp_path.iterdir()) == []


async def test_the_weight_version_outlives_a_restart(tmp_path: Path) -> None:
    async with serving(tmp_path) as url, RolloutClient(url) as client:
        await client.set_weight_version(7)
    async with serving(tmp_path) as url, RolloutClient(url) as client:
        ((one,),) = await client.collect(TASKS[:1])
        state = await client.health()

    assert one.row["ng_weight_versions"] == [7, 7]
    assert state["weight_version"] == 7


@pytest.mark.parametrize("name", ["a.order.json", "a.groups.jsonl", "weight_version.json"])
async def test_a_broken_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.order.json").write_bytes(encode(Order("a", TASKS)))
    (tmp_path / name).write_text('{"group": "first"}\n')

    with pytest.raises(DataError, match=name):
        async with Rollouts(Adder, policy=ScriptedPolicy(solve)) as rollouts:
            await RolloutService(rollouts, tmp_path).start()


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
        ("/weight_version", {"version": -1}, 422),
        ("/weight_version", {"version": 10**30}, 422),
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
