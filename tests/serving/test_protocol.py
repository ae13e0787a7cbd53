"""What arrives at a server's socket has an end, in bytes and in seconds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from nemo_gym.compat import running
from nemo_gym.serving import host as host_module
from nemo_gym.serving.app import base_app
from nemo_gym.serving.host import Host
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.protocol import HEAD_BYTES, RequestProtocol, protocol
from nemo_gym.serving.sockets import bind
from tests.support.virtual_time import pass_time

POST = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
PIECE = b"y" * (1 << 16)


async def answer(request: Request) -> JSONResponse:
    body = await request.body()
    return JSONResponse({"body": body.decode(), "headers": sorted(request.headers.keys())})


@pytest.fixture
async def port() -> AsyncGenerator[int]:
    async for port in serving(Starlette(routes=[Route("/", answer, methods=["GET", "POST"])])):
        yield port


async def serving(app: Starlette) -> AsyncGenerator[int]:
    host, listener = Host(), bind("127.0.0.1", 0, "app")
    port = listener.getsockname()[1]
    await host.serve("app", app, listener)
    yield port
    await host.stop(["app"], grace_s=1)


async def exchange(port: int, *parts: bytes, shut: bool = False) -> bytes:
    """What the server sends until it closes the connection, for these parts one after the other."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        if shut:
            writer.write_eof()
        async with asyncio.timeout(60):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


ENDLESS = {
    "one header": (b"GET / HTTP/1.1\r\nX: ", PIECE),
    "many headers": (b"GET / HTTP/1.1\r\n", b"X: y\r\n" * 10_000),
    "a path": (b"GET /", PIECE),
    "a chunk's extension": (CHUNKED + b"5;", PIECE),
    "trailers": (CHUNKED + b"0\r\n", b"X: y\r\n" * 10_000),
    "one trailer": (CHUNKED + b"0\r\nX: ", PIECE),
    "empty lines": (b"", b"\r\n" * 30_000),
}


@pytest.mark.parametrize(("start", "more"), ENDLESS.values(), ids=ENDLESS)
async def test_what_has_no_end_is_cut_off(port: int, start: bytes, more: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(start)
    sent = 0
    async with asyncio.timeout(60):
        try:
            while sent < 64 * HEAD_BYTES:
                writer.write(more)
                await writer.drain()
                sent += len(more)
            assert await reader.read() == b""
        except ConnectionError:
            pass
    assert sent < 64 * HEAD_BYTES
    writer.close()


async def test_a_head_that_is_too_large_is_answered_with_431(port: int) -> None:
    head = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"y" * (HEAD_BYTES + 1)
    assert (await exchange(port, head)).startswith(b"HTTP/1.1 431 ")


async def test_large_bodies_and_many_requests_on_a_connection_are_no_large_heads(port: int) -> None:
    body = b'"' + b"z" * (3 * HEAD_BYTES) + b'"'
    whole = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    chunks = b"".join(b"1\r\nz\r\n" for _ in range(HEAD_BYTES)) + b"0\r\n\r\n"
    last = POST + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}"
    answers = await exchange(
        port, whole, CHUNKED + chunks, *[POST + b"Content-Length: 2\r\n\r\n{}"] * 20, last
    )
    assert answers.count(b"HTTP/1.1 200 ") == 23


@pytest.mark.parametrize("start", [b"", b"GET / HT", CHUNKED, CHUNKED + b"5\r\nab"])
async def test_what_does_not_arrive_is_not_waited_for(monkeypatch: Any, start: bytes) -> None:
    hurried = partial(RequestProtocol, head_s=0.05, body_s=0.05)
    monkeypatch.setattr(host_module, "protocol", lambda _: hurried)
    async for port in serving(Starlette(routes=[Route("/", answer, methods=["POST"])])):
        assert b" 200 " not in await exchange(port, start)


async def test_an_answer_and_a_connection_between_requests_may_take_longer(monkeypatch: Any) -> None:
    async def slow(_: Request) -> JSONResponse:
        pass_time(20)
        await asyncio.sleep(0.01)
        return JSONResponse({})

    monkeypatch.setattr(host_module, "protocol", lambda _: partial(RequestProtocol, head_s=10, body_s=10))
    async for port in serving(Starlette(routes=[Route("/", slow)])):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert b" 200 " in await reader.readuntil(b"{}")
            pass_time(20)
            await asyncio.sleep(0.01)
        writer.close()


async def test_trailers_are_no_headers(port: int) -> None:
    trailers = b"Authorization: Bearer x\r\nHost: page.example\r\n\r\n"
    request = CHUNKED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    for parts in ([request + b"2\r\n{}\r\n0\r\n" + trailers], [request, b"2\r\n{}\r\n0\r\n", trailers]):
        text = await exchange(port, *parts)
        assert text.startswith(b"HTTP/1.1 200 ")
        assert b"authorization" not in text


@pytest.mark.parametrize(
    ("line", "host", "status"),
    [
        (b"http://page.example/", b"127.0.0.1", b"403"),
        (b"http://127.0.0.1@page.example/", b"127.0.0.1", b"403"),
        (b"http://page.example?/", b"127.0.0.1", b"400"),
        (b"http://127.0.0.1/", b"page.example", b"200"),
        (b"http://localhost:80/", b"", b"200"),
        (b"/", b"page.example", b"403"),
    ],
)
async def test_an_absolute_request_line_names_the_host(
    port: int, line: bytes, host: bytes, status: bytes
) -> None:
    head = b"Host: " + host + b"\r\n" if host else b""
    text = await exchange(port, b"GET " + line + b" HTTP/1.1\r\n" + head + b"Connection: close\r\n\r\n")
    assert text.split(b" ")[1] == status


async def test_a_client_that_leaves_early_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    begun = asyncio.Event()

    async def read(request: Request) -> JSONResponse:
        begun.set()
        return await answer(request)

    app = base_app("App", [Route("/read", read, methods=["POST"])], AppOptions())
    async for port in serving(app):
        with caplog.at_level(logging.WARNING, "nemo_gym.serving"):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(CHUNKED.replace(b" / ", b" /read ") + b"5\r\nab")
            await writer.drain()
            async with asyncio.timeout(60):
                await begun.wait()
            writer.transport.abort()
            async with asyncio.timeout(60):
                while not caplog.records:
                    await asyncio.sleep(0.01)
    (record,) = [one for one in caplog.records if one.name == "nemo_gym.serving"]
    assert record.exc_info is None
    assert "left before it had sent the whole request" in record.getMessage()


def test_servers_in_processes_of_their_own_use_it_too() -> None:
    assert running._SERVING["http"].func is RequestProtocol
    assert protocol(1 << 20).keywords == {"head_bytes": 2 << 20}
    assert protocol(1).keywords == {"head_bytes": HEAD_BYTES}
