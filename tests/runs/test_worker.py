"""A worker process, spoken to over its pipes as the pool does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from conftest import SUPPORT, StartEndpoint
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym import ask
from nemo_gym.runs.component_specs import AgentSpec, EnvironmentSpec, ModelSpec
from nemo_gym.runs.limiter import Adaptive, Fixed
from nemo_gym.runs.loop import run_async
from nemo_gym.runs.pool import WorkerPool, _Worker
from nemo_gym.runs.result import Result
from nemo_gym.runs.worker import LENGTH, Orders, Report, build_collector, message, read_message
from nemo_gym.wire.row_identity import journal_lines


def orders(url: str, *, concurrency: int | None = 2, most: int = 8) -> Orders:
    return Orders(
        environment=EnvironmentSpec(str(SUPPORT / "printing_env.py")),
        model=ModelSpec(type="chat", name="m", url=url),
        agent=AgentSpec("tool_loop"),
        concurrency=concurrency,
        most=most,
        rollout_timeout=60.0,
        seed=0,
    )


def line(task: int, said: str, expected: str) -> bytes:
    row = {"responses_create_params": ask(f"say {said}"), "expected": expected}
    return json.dumps({**row, "_ng_task_index": task, "_ng_rollout_index": 0}).encode()


@contextlib.asynccontextmanager
async def worker(first: Orders) -> AsyncGenerator[asyncio.subprocess.Process, None]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "nemo_gym.runs.worker"), stdin=pipe, stdout=pipe, stderr=pipe
    )
    assert process.stdin is not None
    process.stdin.write(message(msgspec.msgpack.encode(first)))
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@given(st.lists(st.binary(max_size=2000)))
async def test_messages_come_out_of_a_stream_as_they_went_in(bodies: list[bytes]) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(b"".join(message(body) for body in bodies))
    reader.feed_eof()

    assert [await read_message(reader) for _ in bodies] == bodies
    with pytest.raises(asyncio.IncompleteReadError):
        await read_message(reader)


async def test_a_message_that_is_cut_off_is_the_other_side_s_end() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(LENGTH.pack(10) + b"half")
    reader.feed_eof()

    with pytest.raises(asyncio.IncompleteReadError):
        await read_message(reader)


@pytest.mark.parametrize(
    ("concurrency", "most", "limit", "kind"),
    [(5, 8, 5, Fixed), (None, 8, 8, Adaptive), (None, 100, 16, Adaptive)],
)
async def test_orders_say_how_many_rollouts_may_be_in_flight(
    concurrency: int | None, most: int, limit: int, kind: type[Any]
) -> None:
    collector = build_collector(orders("http://localhost:1", concurrency=concurrency, most=most))
    async with collector.model:
        assert collector.limit == limit
        assert isinstance(collector._limiter, kind)


async def test_a_worker_answers_every_row_and_leaves_when_there_are_no_more(
    start_endpoint: StartEndpoint,
) -> None:
    async with worker(orders(start_endpoint())) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for task in range(5):
            process.stdin.write(message(line(task, "yes", "yes" if task else "no")))
        process.stdin.write(message(b""))
        bodies = [await read_message(process.stdout) for _ in range(5)]
        rest, printed = await process.communicate()

    reports = [msgspec.msgpack.decode(body, type=Report) for body in bodies]
    assert sorted((each.result.task, each.result.reward) for each in reports) == [
        (task, float(task > 0)) for task in range(5)
    ]
    assert {report.limit for report in reports} == {2}
    assert rest == b""
    assert printed.count(b"this must not be taken for a report") == 5
    assert process.returncode == 0


async def test_a_worker_whose_parent_is_gone_leaves_at_once(start_endpoint: StartEndpoint) -> None:
    async with worker(orders(start_endpoint(delay=3600))) as process:
        assert process.stdin is not None
        process.stdin.write(message(line(0, "yes", "yes")))
        await process.stdin.drain()
        process.stdin.close()
        assert await process.wait() == 1


async def test_two_workers_share_the_work_and_a_row_that_kills_them_fails_alone(
    start_endpoint: StartEndpoint, tmp_path: Path
) -> None:

    plan = tmp_path / "plan.jsonl"
    plan.write_bytes(b"".join(line(task, "yes", "die" if task == 3 else "yes") + b"\n" for task in range(12)))
    results: list[Result] = []
    lines = ((row.stamp, row.line) for row in journal_lines(plan))

    await WorkerPool(2, orders(start_endpoint(), concurrency=1)).run(lines, results.append)

    assert sorted(result.task for result in results) == list(range(12))
    failed = {result.task: result.failure for result in results if result.failure}
    assert failed == {3: "worker_died"}


def test_a_worker_that_has_ended_takes_no_more_messages() -> None:
    """On the fast loop, whose closed pipes raise an error of another kind: a dead worker is replaced."""

    async def told() -> None:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "", stdin=pipe, stdout=pipe)
        await process.wait()
        with pytest.raises(ConnectionError):
            await _Worker(process, 1).send(message(b"row"))

    run_async(told())
