"""Many tasks share a time limit: each expires at its own time, as with a timeout of its own."""

from __future__ import annotations

import asyncio

import pytest

from nemo_gym.support.time_limit import TimeLimit
from tests.support.virtual_time import run_virtual


async def within(limit: TimeLimit, seconds: float) -> str:
    timeout = limit.start()
    try:
        async with timeout:
            await asyncio.sleep(seconds)
        return "done"
    except TimeoutError:
        return "expired" if timeout.expired() else "another timeout"
    finally:
        limit.end(timeout)


async def test_each_task_expires_at_its_own_time() -> None:
    limit, loop = TimeLimit(0.2), asyncio.get_running_loop()
    began = loop.time()

    async def late(start: float) -> float:
        await asyncio.sleep(start)
        assert await within(limit, 60) == "expired"
        return loop.time() - began - start

    took = await asyncio.gather(late(0), late(0.05), late(0.1), late(0.3))
    assert all(seconds >= 0.19 for seconds in took)


async def test_tasks_that_end_in_time_are_left_alone_and_no_timer_stays() -> None:
    limit = TimeLimit(0.1)
    results = await asyncio.gather(*(within(limit, seconds) for seconds in (0, 0.01, 60, 0.02, 60)))
    assert results == ["done", "done", "expired", "done", "expired"]
    assert limit._timer is None
    assert await within(limit, 0) == "done"
    assert limit._timer is None


async def test_a_task_that_is_cancelled_or_raises_ends_as_it_would_without_a_limit() -> None:
    limit = TimeLimit(60)
    task = asyncio.create_task(within(limit, 60))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async with asyncio.timeout(60):
        timeout = limit.start()
        with pytest.raises(TimeoutError, match="mine"):
            async with timeout:
                raise TimeoutError("mine")
        limit.end(timeout)
    assert not timeout.expired()


async def test_no_limit() -> None:
    assert await within(TimeLimit(None), 0.01) == "done"


def test_another_event_loop_has_its_own_timers() -> None:
    limit = TimeLimit(0.05)
    assert asyncio.run(within(limit, 60)) == "expired"

    async def abandon() -> None:
        limit.start()  # as a loop that stops in the middle leaves it

    asyncio.run(abandon())
    assert asyncio.run(within(limit, 60)) == "expired"


def test_a_pause_does_not_count() -> None:
    async def ends() -> list[float]:
        limit, loop = TimeLimit(10), asyncio.get_running_loop()

        async def late(start: float) -> float:
            await asyncio.sleep(start)
            assert await within(limit, 5000) == "expired"
            return loop.time()

        async def pauses() -> None:
            await asyncio.sleep(4)
            limit.pause()
            limit.pause()
            await asyncio.sleep(100)
            limit.resume()
            limit.resume()
            await asyncio.sleep(1)
            limit.pause()
            await asyncio.sleep(1000)
            limit.resume()

        pausing = asyncio.create_task(pauses())
        results = await asyncio.gather(*(late(start) for start in (0, 2, 50, 500)))
        await pausing
        return results

    assert run_virtual(ends()) == pytest.approx([1110, 1112, 1114, 1115])
