"""`GroupFlow`: steps get their groups early, and slow tasks come as often as others."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from nemo_gym.training.collected import CollectedRollout
from nemo_gym.training.flow import (
    GroupFlow,
    GroupsFailed,
    all_truncated,
    longer_than,
    untrainable,
    zero_variance,
)
from nemo_gym.wire.errors import ModelUnreachable, UsageError
from nemo_gym.wire.rollout import Rollout
from tests.support.trajectories import chain, scored
from tests.support.virtual_time import run_virtual


def collected(rollout: Rollout) -> CollectedRollout:
    fields = {name: getattr(rollout, name) for name in Rollout.__slots__}
    return CollectedRollout(**fields, group=0)


def rollouts_of(*rewards: float, tokens: int = 2, **more: Any) -> list[CollectedRollout]:
    return [collected(scored(chain([([1], [2] * (tokens - 1))], **more), reward)) for reward in rewards]


SIGMA = math.log(20) / 2.3263
"""The lognormal distribution whose 99th percentile is 20 times its median."""


def lognormal_tasks(seed: int) -> Iterator[tuple[int, float]]:
    """(difficulty from 0 to 9, seconds of the slowest of 8 repeats); hard tasks take up to twice as long."""
    rng = random.Random(seed)
    while True:
        difficulty = rng.randrange(10)
        seconds = max(rng.lognormvariate(0, SIGMA) for _ in range(8)) * (1 + difficulty / 9)
        yield difficulty, seconds


async def collect(task: tuple[int, float]) -> list[CollectedRollout]:
    await asyncio.sleep(task[1])
    return []


def test_the_first_three_quarters_take_less_than_half_of_the_time_of_all() -> None:
    async def seconds_until(groups: int, seed: int) -> float:
        tasks = lognormal_tasks(seed)
        flow = GroupFlow(collect, (next(tasks) for _ in range(512)), in_flight=512)
        await flow.take(groups)
        elapsed = asyncio.get_running_loop().time()
        await flow.aclose()
        return elapsed

    for seed in range(5):
        assert run_virtual(seconds_until(384, seed)) < 0.5 * run_virtual(seconds_until(512, seed))


def test_hard_tasks_are_delivered_as_often_as_they_are_drawn() -> None:
    async def shares(seed: int) -> list[float]:
        drawn: Counter[int] = Counter()

        def tasks() -> Iterator[tuple[int, float]]:
            for task in lognormal_tasks(seed):
                drawn[task[0]] += 1
                yield task

        flow = GroupFlow(collect, tasks(), in_flight=512)
        delivered: Counter[int] = Counter()
        for _ in range(5):
            groups = await flow.take(384)
            delivered.update(group.task[0] for group in groups)
        await flow.aclose()
        assert delivered.total() == 5 * 384
        return [delivered[one] / delivered.total() - drawn[one] / drawn.total() for one in range(10)]

    for seed in range(5):
        assert max(map(abs, run_virtual(shares(seed)))) < 0.02


async def test_no_group_is_lost_and_the_oldest_come_first() -> None:
    rng = random.Random(0)

    async def collect(task: int) -> list[CollectedRollout]:
        for _ in range(rng.randrange(20)):
            await asyncio.sleep(0)
        return []

    flow = GroupFlow(collect, range(100), in_flight=16)
    steps = []
    while groups := await flow.take(10):
        steps.append([group.task for group in groups])

    assert sorted(task for step in steps for task in step) == list(range(100))
    assert all(step == sorted(step) for step in steps)
    assert flow.counts == {"delivered": 100}


async def test_what_a_filter_leaves_out_is_counted_and_replaced() -> None:
    async def collect(task: int) -> list[CollectedRollout]:
        if task % 2:
            return rollouts_of(1.0, 1.0)
        return rollouts_of(0.0, 1.0, tokens=50 if task == 4 else 2)

    flow = GroupFlow(collect, count(), in_flight=4, filters=[zero_variance, longer_than(20)])
    groups = await flow.take(6)
    await flow.aclose()

    assert [group.task for group in groups] == [0, 2, 6, 8, 10, 12]
    assert flow.counts["delivered"] == 6
    assert flow.counts["over_long"] == 1
    assert flow.counts["zero_variance"] >= 6


async def test_every_group_that_was_started_is_in_the_summary() -> None:
    hold = asyncio.Event()
    versions = iter([2, 0, 2, 2, 2, 2, 2, 2])

    async def collect(task: str) -> list[CollectedRollout]:
        if task == "slow":
            await hold.wait()
        rewards = (1.0, 1.0) if task == "easy" else (0.0, 1.0)
        tokens = 50 if task == "long" else 2
        return rollouts_of(*rewards, tokens=tokens, weight_version=next(versions) if task == "math" else 2)

    tasks = ["slow", "easy", "math", "math", "easy", "long", "code", "math", "math", "code"]
    flow = GroupFlow(
        collect,
        tasks,
        in_flight=6,
        filters=[zero_variance, longer_than(20)],
        source=str,
        max_staleness=1,
        version=lambda: 2,
    )
    assert flow.summary() == "step 0: started 0, delivered 0, left out 0, waiting 0, running 0, deferred 0"
    await flow.take(4)

    assert flow.summary() == (
        "step 1: started 10 (2.50 for each delivered), delivered 4 (code 25.0 %, math 75.0 %), "
        "left out 3 (over_long 1, zero_variance 2), stale 1, waiting 1, running 1, deferred 0"
    )
    await flow.take(0)
    assert flow.summary().endswith("deferred 2")
    await flow.aclose()
    assert flow.summary().endswith("stale 1, cancelled 2, waiting 1, running 0, deferred 1")


async def test_a_closed_flow_knows_what_was_not_delivered() -> None:
    started: list[int] = []

    async def collect(task: int) -> list[CollectedRollout]:
        started.append(task)
        if task in (1, 3):
            await asyncio.Event().wait()
        return rollouts_of(0.0, 1.0)

    flow = GroupFlow(collect, range(10), in_flight=5)
    assert [group.task for group in await flow.take(2)] == [0, 2]
    assert flow.pending == [1, 3, 4]
    await flow.aclose()
    assert sorted(flow.pending) == [1, 3, 4]
    assert "cancelled 2" in flow.summary()

    again = GroupFlow(collect, range(5, 10), in_flight=5, first=flow.pending)
    started.clear()
    step = asyncio.create_task(again.take(1))
    await step
    assert started[:3] == flow.pending
    await again.aclose()


async def test_stale_groups_are_collected_again() -> None:
    versions = iter([0, 1, 2, 2])

    async def collect(task: int) -> list[CollectedRollout]:
        return rollouts_of(0.0, 1.0, weight_version=next(versions))

    flow = GroupFlow(collect, ["a", "b", "c"], in_flight=3, max_staleness=1, version=lambda: 2)
    groups = await flow.take(3)

    assert [group.task for group in groups] == ["b", "c", "a"]
    assert [group.oldest_version for group in groups] == [1, 2, 2]
    assert flow.counts == {"stale": 1, "delivered": 3}


async def test_a_group_that_becomes_stale_while_it_waits_is_collected_again() -> None:
    version = 0

    async def collect(task: int) -> list[CollectedRollout]:
        return rollouts_of(0.0, 1.0, weight_version=version)

    flow = GroupFlow(collect, range(4), in_flight=4, max_staleness=1, version=lambda: version)
    assert [group.task for group in await flow.take(1)] == [0]
    version = 1
    assert [group.task for group in await flow.take(1)] == [1]
    version = 2
    groups = await flow.take(2)

    assert [(group.task, group.oldest_version) for group in groups] == [(2, 2), (3, 2)]
    assert flow.counts == {"delivered": 4, "stale": 2}


@pytest.mark.parametrize("max_staleness", [0, 1, 2])
def test_a_slow_task_is_delivered_although_its_groups_become_stale(max_staleness: int) -> None:
    async def steps_with_the_slow_task() -> list[int]:
        version = 0

        async def collect(task: int) -> list[CollectedRollout]:
            begun = version
            await asyncio.sleep(10 if task % 40 == 0 else 1)
            return rollouts_of(0.0, 1.0, weight_version=begun)

        flow = GroupFlow(collect, count(), in_flight=8, max_staleness=max_staleness, version=lambda: version)
        steps: list[int] = []
        for step in range(30):
            steps += [step for group in await flow.take(4) if group.task % 40 == 0]
            await asyncio.sleep(0.5)
            version += 1
        await flow.aclose()
        return steps

    steps = run_virtual(steps_with_the_slow_task())

    assert len(steps) == 3
    assert steps[0] <= 2


def test_each_filter_has_its_reason() -> None:
    cut = rollouts_of(0.0, 1.0)
    for rollout in cut:
        rollout.outcome = "max_output_tokens"
    broken = rollouts_of(0.0, 1.0, loss_mask=[2])

    assert zero_variance(rollouts_of(1.0, 1.0)) == "zero_variance"
    assert zero_variance(rollouts_of(0.0, 1.0)) is None
    assert all_truncated(cut) == "all_truncated"
    assert all_truncated(rollouts_of(0.0)) is None
    assert untrainable(broken) == "untrainable"
    assert untrainable(rollouts_of(0.0)) is None
    assert longer_than(1)(rollouts_of(0.0)) == "over_long"
    assert longer_than(2)(rollouts_of(0.0)) is None


@pytest.mark.parametrize("filter", [zero_variance, untrainable])
async def test_an_engine_that_is_gone_ends_a_step_that_would_look_for_groups_for_ever(filter: Any) -> None:
    async def collect(task: int) -> list[CollectedRollout]:
        if task < 3:
            return rollouts_of(0.0, 1.0)
        failure = ModelUnreachable("the engine is gone")
        return [collected(Rollout.failed({"_ng_task_index": 0}, failure)) for _ in range(2)]

    flow = GroupFlow(collect, count(), in_flight=4, filters=[filter])
    with pytest.raises(GroupsFailed, match="4 groups in a row have failed, the last one with: the engine is"):
        await flow.take(4)

    assert [group.task for group in await flow.take(3)] == [0, 1, 2]
    await flow.aclose()


async def test_an_error_of_the_collection_is_raised() -> None:
    async def collect(task: int) -> list[CollectedRollout]:
        raise RuntimeError("the engine is gone")

    flow = GroupFlow(collect, range(3), in_flight=1)
    with pytest.raises(RuntimeError, match="the engine is gone"):
        await flow.take(1)
    assert flow.pending == [0]
    assert flow.counts == {"failed": 1}
    with pytest.raises(UsageError, match="in_flight"):
        GroupFlow(collect, range(3), in_flight=0)
