"""A cancellation that comes in the middle of some work is raised after the work."""

from __future__ import annotations

import asyncio

import pytest

from nemo_gym.support.finishing import finish, obtain


@pytest.fixture
def go() -> asyncio.Event:
    return asyncio.Event()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_result_of_the_work_is_returned() -> None:
    assert await finish(asyncio.sleep(0, "result")) == "result"


async def test_what_the_work_raises_is_raised() -> None:
    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await finish(fail())


@pytest.mark.parametrize("fails", [False, True])
async def test_a_cancellation_waits_for_the_work(go: asyncio.Event, fails: bool) -> None:
    ends: list[bool] = []

    async def work() -> None:
        await go.wait()
        ends.append(True)
        if fails:
            raise ValueError("no")

    task = asyncio.create_task(finish(work()))
    await settled()
    task.cancel()
    await settled()
    assert not task.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ends == [True]


async def test_a_second_cancellation_does_not_wait(go: asyncio.Event) -> None:
    work = asyncio.ensure_future(go.wait())
    task = asyncio.create_task(finish(work))
    for _ in range(2):
        await settled()
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not work.done()
    go.set()
    assert await work


@pytest.mark.parametrize("cancellations", [1, 2, 3])
async def test_what_nobody_waits_for_any_more_is_released(go: asyncio.Event, cancellations: int) -> None:
    released: list[str] = []
    gone = asyncio.Event()

    async def make() -> str:
        await go.wait()
        return "thing"

    async def release(thing: str) -> None:
        await asyncio.sleep(0)
        released.append(thing)
        gone.set()

    task = asyncio.create_task(obtain(make(), release))
    for _ in range(cancellations):
        await settled()
        task.cancel()
    await settled()
    assert task.done() == (cancellations > 2)
    assert released == []
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone.wait()
    assert released == ["thing"]


async def test_what_is_obtained_is_not_released() -> None:
    async def release(thing: str) -> None:
        raise AssertionError(thing)

    assert await obtain(asyncio.sleep(0, "thing"), release) == "thing"


async def test_what_can_t_be_made_is_not_released(go: asyncio.Event) -> None:
    async def fail() -> str:
        await go.wait()
        raise ValueError("no")

    async def release(thing: str) -> None:
        raise AssertionError(thing)

    task = asyncio.create_task(obtain(fail(), release))
    await settled()
    task.cancel()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
