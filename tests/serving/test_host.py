from __future__ import annotations

import asyncio
import signal
import socket
import struct
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from nemo_gym.serving.host import Host
from nemo_gym.serving.sockets import bind


class Slow:
    """An app whose answers wait for `go`."""

    def __init__(self) -> None:
        self.asked, self.go = asyncio.Event(), asyncio.Event()
        self.events: list[str] = []
        self.app = Starlette(routes=[Route("/", self.answer)], lifespan=self.lifespan)

    async def answer(self, _: Request) -> PlainTextResponse:
        self.asked.set()
        await self.go.wait()
        self.events.append("answered")
        return PlainTextResponse("done")

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncGenerator[None]:
        self.events.append("begun")
        yield
        self.events.append("ended")


async def start(host: Host, name: str, app: Starlette) -> str:
    listener = bind("127.0.0.1", 0, name)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    await host.serve(name, app, listener)
    return url


async def test_an_app_answers_once_serve_has_returned() -> None:
    host, slow = Host(), Slow()
    slow.go.set()
    url = await start(host, "slow", slow.app)
    async with httpx.AsyncClient() as client:
        assert (await client.get(url)).text == "done"
    await host.stop(["slow"], grace_s=5)
    assert slow.events == ["begun", "answered", "ended"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads the kernel's TCP_INFO")
async def test_as_many_connections_wait_as_the_system_permits() -> None:
    host, slow = Host(), Slow()
    listener = bind("127.0.0.1", 0, "slow")
    await host.serve("slow", slow.app, listener)
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    (longest_queue,) = struct.unpack_from("I", info, 28)  # tcpi_sacked: of a listening socket, its backlog
    assert longest_queue == int(Path("/proc/sys/net/core/somaxconn").read_text())
    await host.stop(["slow"], grace_s=5)


async def test_stopping_refuses_new_connections_and_waits_for_what_is_in_flight() -> None:
    host, slow = Host(), Slow()
    url = await start(host, "slow", slow.app)
    async with httpx.AsyncClient() as client:
        request = asyncio.create_task(client.get(url))
        await slow.asked.wait()
        stopping = asyncio.create_task(host.stop(["slow"], grace_s=60))
        while not await refused(url):
            await asyncio.sleep(0.01)
        assert not stopping.done()
        slow.go.set()
        assert (await request).text == "done"
        await stopping
    assert slow.events == ["begun", "answered", "ended"]


async def test_what_does_not_finish_within_the_grace_is_cancelled() -> None:
    host, slow = Host(), Slow()
    url = await start(host, "slow", slow.app)
    async with httpx.AsyncClient() as client:
        request = asyncio.create_task(client.get(url))
        await slow.asked.wait()
        await host.stop(["slow"], grace_s=0)
        answer = (await asyncio.gather(request, return_exceptions=True))[0]
    assert isinstance(answer, httpx.TransportError) or answer.status_code == 500
    assert slow.events == ["begun", "ended"]


async def test_a_lifespan_that_fails_is_an_error_and_its_address_is_free_again() -> None:
    @asynccontextmanager
    async def broken(_: Starlette) -> AsyncGenerator[None]:
        raise RuntimeError("no weights")
        yield

    host, listener = Host(), bind("127.0.0.1", 0, "broken")
    port = listener.getsockname()[1]
    with pytest.raises(RuntimeError, match="no weights"):
        await host.serve("broken", Starlette(lifespan=broken), listener)
    bind("127.0.0.1", port, "next").close()


async def test_apps_are_stopped_one_by_one_and_signals_are_left_alone() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    host, first, second = Host(), Slow(), Slow()
    urls = [await start(host, "first", first.app), await start(host, "second", second.app)]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    await host.stop(["first", "unknown"], grace_s=1)
    assert [await refused(url) for url in urls] == [True, False]
    await host.stop(["second"], grace_s=1)
    assert second.events == ["begun", "ended"]


async def refused(url: str) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    except OSError:
        return True
    writer.close()
    return False
