from __future__ import annotations

import asyncio

import pytest

from nemo_gym.environments.cohorts import Cohorts
from nemo_gym.wire.errors import JudgeFailed
from tests.support.virtual_time import run_virtual


def cohorts(timeout: float = 30.0, judged: list[list[str]] | None = None) -> Cohorts[str, str]:
    async def judge(members: list[str]) -> list[str]:
        if judged is not None:
            judged.append(members)
        await asyncio.sleep(0)
        if "bad" in members:
            raise JudgeFailed("no scores")
        return [f"{member} of {len(members)}" for member in members]

    return Cohorts(3, 2, timeout, judge)


async def test_members_get_their_own_verdicts_when_the_cohort_is_complete():
    judged: list[list[str]] = []
    group = cohorts(judged=judged)
    keys = [1, 2, 1, 2, 1, 2]
    verdicts = await asyncio.gather(*(group.join(key, f"m{n}") for n, key in enumerate(keys)))
    assert verdicts == [f"m{n} of 3" for n in range(6)]
    assert judged == [["m0", "m2", "m4"], ["m1", "m3", "m5"]]


def test_at_the_deadline_those_that_are_there_are_judged():
    async def verdicts() -> list[str]:
        group = cohorts()
        return await asyncio.gather(group.join(1, "a"), group.join(1, "b"))

    assert run_virtual(verdicts()) == ["a of 2", "b of 2"]


def test_a_lone_member_is_a_failure_and_no_verdict():
    with pytest.raises(JudgeFailed, match="1 of 3 rollouts of the task came within"):
        run_virtual(cohorts().join(1, "a"))


async def test_the_next_members_of_a_key_make_a_new_cohort():
    group = cohorts()
    assert len({*await asyncio.gather(*(group.join(1, str(n)) for n in range(6)))}) == 6


async def test_a_member_that_is_cancelled_leaves_and_does_not_count():
    judged: list[list[str]] = []
    group = cohorts(judged=judged)
    gone = asyncio.create_task(group.join(1, "gone"))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    await asyncio.gather(*(group.join(1, name) for name in "abc"))
    assert judged == [["a", "b", "c"]]


async def test_a_member_that_is_cancelled_during_the_judgement_does_not_harm_the_others():
    group = cohorts()
    tasks = [asyncio.create_task(group.join(1, name)) for name in "abc"]
    await asyncio.sleep(0)
    tasks[0].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[1:] == ["b of 3", "c of 3"]
    assert isinstance(results[0], asyncio.CancelledError)


async def test_a_failure_of_the_judge_reaches_every_member():
    group = cohorts()
    results = await asyncio.gather(
        *(group.join(1, name) for name in ("a", "bad", "c")), return_exceptions=True
    )
    assert [str(result) for result in results] == ["no scores"] * 3


async def test_the_end_ends_every_wait():
    group = cohorts()
    waiting = asyncio.create_task(group.join(1, "a"))
    await asyncio.sleep(0)
    await group.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting
