"""The client of existing code, in as many event loops as call it."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from aiohttp import ClientSession
from conftest import StartServer
from nemo_gym.server_utils import (
    GlobalAIOHTTPAsyncClientConfig,
    get_global_aiohttp_client,
    get_response_json,
    is_global_aiohttp_client_setup,
    request,
    set_global_aiohttp_client,
)

from nemo_gym.compat.client import close_global_aiohttp_client


@pytest.fixture(autouse=True)
def _settings_of_others_stay() -> Iterator[None]:
    yield
    asyncio.run(close_global_aiohttp_client())
    gc.collect()  # a session left open would be said here


def test_loops_in_several_threads_call_at_once_each_with_its_own_client(start_server: StartServer) -> None:
    url, _ = start_server()
    together = threading.Barrier(4)

    async def calls(number: int) -> tuple[ClientSession, list[str]]:
        clients: set[ClientSession] = set()
        said: list[str] = []
        for _ in range(20):
            together.wait(30)
            answer = await request("POST", f"{url}/headers", headers={"x-loop": str(number)}, json={})
            said.append((await get_response_json(answer))["x-loop"])
            clients.add(get_global_aiohttp_client())
        (client,) = clients
        return client, said

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda number: asyncio.run(calls(number)), range(4)))

    assert [said for _, said in done] == [[str(number)] * 20 for number in range(4)]
    assert len({id(client) for client, _ in done}) == 4
    assert all(client.closed for client, _ in done)


def run_in_turns(*steps: Any) -> list[Any]:
    """Each step in one of two loops, by turns; both shut down properly afterwards."""
    with asyncio.Runner() as first, asyncio.Runner() as second:
        return [(first, second)[place % 2].run(step()) for place, step in enumerate(steps)]


async def mine() -> ClientSession:
    return get_global_aiohttp_client()


def test_a_loop_keeps_its_client_while_another_has_one() -> None:
    one, other, again, other_again = run_in_turns(mine, mine, mine, mine)

    assert one is again
    assert other is other_again
    assert one is not other
    assert (one.closed, other.closed) == (True, True)


def test_new_limits_are_everybodys_and_requests_in_flight_keep_their_client() -> None:
    async def limited() -> ClientSession:
        return set_global_aiohttp_client(GlobalAIOHTTPAsyncClientConfig(global_aiohttp_connector_limit=7))

    async def limit(client: ClientSession) -> tuple[bool, int]:
        assert client.connector is not None
        return client.closed, client.connector.limit

    before: list[ClientSession] = []

    async def checked() -> list[tuple[bool, int]]:
        return [await limit(client) for client in (before[0], get_global_aiohttp_client())]

    async def kept() -> None:
        before.append(get_global_aiohttp_client())

    *_, limits = run_in_turns(kept, limited, checked)

    assert limits == [(False, 100 * 1024), (False, 7)]
    assert before[0].closed


def test_closing_closes_this_loops_alone_and_the_next_call_makes_another() -> None:
    async def closed() -> None:
        await close_global_aiohttp_client()

    one, other, _, other_again, anew = run_in_turns(mine, mine, closed, mine, mine)

    assert other is other_again
    assert one is not anew
    assert not is_global_aiohttp_client_setup()
