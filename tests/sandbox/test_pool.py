"""The pool: one limit for all holders, places that are never lost, and nothing that stays open."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Any

import pytest

from nemo_gym.sandbox import SandboxCreateError, SandboxHandle, SandboxPool, SandboxSpec
from nemo_gym.sandbox.errors import InvalidSandbox, SandboxStopped
from nemo_gym.sandbox.pool import default_limit, named_pool, shared_limit
from nemo_gym.sandbox.providers.registry import register_provider


class Rooms:
    """A provider that only counts."""

    name = "rooms"
    lays_out_files = True

    def __init__(self) -> None:
        self.live: set[str] = set()
        self.most = 0
        self.made = 0
        self.closed = 0
        self.refuse = False
        self.open = asyncio.Event()
        self.open.set()

    async def create(self, spec: SandboxSpec) -> SandboxHandle:
        await self.open.wait()
        if self.refuse:
            raise SandboxCreateError("no room")
        self.made += 1
        handle = SandboxHandle(str(self.made), self.name, None)
        self.live.add(handle.sandbox_id)
        self.most = max(self.most, len(self.live))
        return handle

    def isolation_of(self, handle: SandboxHandle) -> str:
        return "walls"

    async def close(self, handle: SandboxHandle) -> None:
        await asyncio.sleep(0)
        self.live.discard(handle.sandbox_id)

    async def aclose(self) -> None:
        self.closed += 1


@pytest.fixture
def rooms() -> Rooms:
    return Rooms()


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def holds_all(pool: SandboxPool) -> None:
    """Every place of a pool can be had at once."""
    async with asyncio.timeout(60):
        leases = [pool.lease() for _ in range(pool.limit)]
        for lease in leases:
            await lease.sandbox()
        for lease in leases:
            await lease.aclose()


async def test_no_more_holders_than_the_limit_have_sandboxes_at_a_time(rooms: Rooms) -> None:
    pool = SandboxPool(rooms, limit=2)

    async def hold() -> None:
        async with pool.sandbox():
            await asyncio.sleep(0)

    await asyncio.gather(*(hold() for _ in range(10)))
    assert (rooms.made, rooms.most, rooms.live) == (10, 2, set())


async def test_a_holder_of_one_sandbox_gets_more_at_once(rooms: Rooms) -> None:
    pool = SandboxPool(rooms, limit=1)
    lease = pool.lease()
    async with asyncio.timeout(60), lease.sandbox(), lease.sandbox():
        assert len(rooms.live) == 2
    async with asyncio.timeout(60):
        one, two = await asyncio.gather(lease.start(None), lease.start(None))
    assert one.id != two.id
    await lease.aclose()
    assert rooms.live == set()
    await holds_all(pool)


async def test_whoever_waits_can_be_cancelled_and_loses_no_place(rooms: Rooms) -> None:
    pool = SandboxPool(rooms, limit=1)
    async with pool.sandbox():
        waiting = asyncio.create_task(pool.lease().start(None))
        await settled()
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await holds_all(pool)


async def test_a_start_that_is_cancelled_or_fails_gives_its_place_back(rooms: Rooms) -> None:
    pool = SandboxPool(rooms, limit=1)
    rooms.open.clear()
    starting = asyncio.create_task(pool.lease().start(None))
    await settled()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    rooms.open.set()
    rooms.refuse = True
    with pytest.raises(SandboxCreateError, match="no room"):
        await pool.sandbox()
    rooms.refuse = False
    await holds_all(pool)


async def test_an_unknown_provider_is_named_each_time_and_takes_no_place() -> None:
    pool = SandboxPool("dokcer", limit=1)
    for _ in range(2):
        with pytest.raises(InvalidSandbox, match="docker"):
            async with asyncio.timeout(60):
                await pool.sandbox()


async def test_closing_a_lease_ends_what_is_left_and_what_is_starting(rooms: Rooms) -> None:
    pool = SandboxPool(rooms, limit=1)
    lease = pool.lease()
    await lease.sandbox()
    rooms.open.clear()
    starting = asyncio.create_task(lease.start(None))
    await settled()
    await lease.aclose()
    rooms.open.set()
    with pytest.raises(SandboxStopped, match="the session is over"):
        await starting
    assert rooms.live == set()
    with pytest.raises(SandboxStopped):
        await lease.sandbox()
    await lease.aclose()
    await holds_all(pool)


@pytest.mark.parametrize("steps", range(6))
async def test_closing_a_lease_goes_on_to_its_end_when_it_is_cancelled(rooms: Rooms, steps: int) -> None:
    pool = SandboxPool(rooms, limit=1)
    lease = pool.lease()
    for _ in range(3):
        await lease.sandbox()
    closing = asyncio.create_task(lease.aclose())
    for _ in range(steps + 1):
        await asyncio.sleep(0)
    closing.cancel()
    with suppress(asyncio.CancelledError):
        await closing
    assert rooms.live == set()
    await holds_all(pool)


async def test_no_place_is_lost_or_doubled_whenever_holders_are_cancelled(rooms: Rooms) -> None:
    pool = SandboxPool(rooms, limit=2)
    rng = random.Random(7)

    async def hold(lease: Any) -> None:
        for _ in range(3):
            async with lease.sandbox():
                for _ in range(rng.randrange(4)):
                    await asyncio.sleep(0)

    async def session() -> None:
        lease = pool.lease()
        try:
            await asyncio.gather(hold(lease), hold(lease))
        finally:
            await lease.aclose()

    for _ in range(100):
        sessions = [asyncio.create_task(session()) for _ in range(5)]
        for _ in range(rng.randrange(40)):
            await asyncio.sleep(0)
        for one in rng.sample(sessions, 3):
            one.cancel()
        async with asyncio.timeout(60):
            await asyncio.gather(*sessions, return_exceptions=True)
        assert rooms.live == set()
        assert pool._in_use == 0
        assert pool._places._value == 2
    await holds_all(pool)


async def test_its_own_provider_is_closed_at_the_end_and_made_again_when_needed() -> None:
    made: list[Rooms] = []

    def make() -> Rooms:
        made.append(Rooms())
        return made[-1]

    register_provider("counted rooms", make, override=True)
    pool = SandboxPool({"counted rooms": {}})
    await pool.aclose()
    assert made == []
    async with pool.sandbox():
        await pool.aclose()
        assert made[0].closed == 0
    await pool.aclose()
    await pool.aclose()
    assert made[0].closed == 1
    async with pool.sandbox():
        assert len(made) == 2
    await pool.aclose()


async def test_somebody_elses_provider_is_left_open(rooms: Rooms) -> None:
    pool = SandboxPool(rooms)
    async with pool.sandbox():
        pass
    await pool.aclose()
    assert rooms.closed == 0


def test_it_serves_one_event_loop_after_another() -> None:
    pool = SandboxPool({"counted rooms": {}}, limit=1)
    register_provider("counted rooms", Rooms, override=True)

    async def crowd() -> None:
        async def hold() -> None:
            async with pool.sandbox():
                await asyncio.sleep(0)

        await asyncio.gather(hold(), hold(), hold())

    for _ in range(2):
        asyncio.run(crowd())


async def test_it_is_noted_how_sandboxes_were_shut_off(rooms: Rooms) -> None:
    lease = SandboxPool(rooms).lease()
    assert lease.isolation == {}
    async with lease.sandbox() as sandbox:
        assert sandbox.isolation == "walls"
    assert lease.isolation == {"rooms": "walls"}


def test_the_default_limit_is_of_the_machine_and_workers_share_one() -> None:
    assert default_limit() >= 2
    assert SandboxPool().limit == default_limit()
    assert (shared_limit(8, 2), shared_limit(3, 2), shared_limit(1, 4)) == (4, 1, 1)
    with pytest.raises(InvalidSandbox, match="max_sandboxes: expected a whole number from 1, not 0"):
        SandboxPool(limit=0)


async def test_a_pool_by_name_checks_its_provider_at_once() -> None:
    assert named_pool(None, 3).provider().name == "local"
    pool = named_pool("apptainer", 3)
    assert (pool.provider().name, pool.limit) == ("apptainer", 3)
    with pytest.raises(InvalidSandbox, match="Unknown sandbox provider 'dokcer'"):
        named_pool("dokcer", None)
    with pytest.raises(InvalidSandbox, match=r"docker\.create: no setting 'netwrk'"):
        named_pool({"docker": {"create": {"netwrk": "none"}}}, None)
