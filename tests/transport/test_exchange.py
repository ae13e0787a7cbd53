"""One request and its answer, against servers that misbehave in ways only a socket can."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Iterator

import pytest

from nemo_gym.transport.exchange import Connections, NoAnswer, Timeouts, base_url
from nemo_gym.wire.errors import UsageError

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n"

Serve = Callable[[bytes], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A server that answers everything with these bytes and hangs up; its URL."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(answer: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def run() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join()


async def test_cookies_come_back_as_they_were_set(serve: Serve) -> None:
    headers = b"set-cookie: a=1; path=/; HttpOnly\r\nset-cookie: b=x=y\r\nset-cookie: =\r\nset-cookie: \r\n"
    connections = Connections(serve(OK + headers + b"\r\n{}"))
    reply = await connections.exchange("POST", "/x", b"{}")
    await connections.aclose()

    assert reply.cookies == {"a": "1", "b": "x=y"}


async def test_a_cookie_that_is_not_text_breaks_nothing(serve: Serve) -> None:
    connections = Connections(serve(OK + b"set-cookie: a=\xff\xfe\r\n\r\n{}"))
    reply = await connections.exchange("POST", "/x", b"{}")
    await connections.aclose()

    assert reply.cookies == {}


async def test_an_answer_is_read_up_to_its_limit(serve: Serve) -> None:
    url = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n" + b"x" * 5000)
    for limit in (5000, 4999):
        connections = Connections(url, max_answer=limit)
        if limit == 5000:
            assert len((await connections.exchange("GET", "/")).content) == 5000
        else:
            with pytest.raises(NoAnswer, match="larger than 4999 bytes"):
                await connections.exchange("GET", "/")
        await connections.aclose()


async def test_a_refused_connection_is_known_not_to_have_been_sent() -> None:
    connections = Connections("http://127.0.0.1:1")
    with pytest.raises(NoAnswer, match="refused") as caught:
        await connections.exchange("POST", "/x", b"{}")
    await connections.aclose()

    assert not caught.value.sent


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", b"garbage\r\n\r\n"]
)
async def test_a_connection_lost_after_sending_may_have_been_acted_on(serve: Serve, answer: bytes) -> None:
    connections = Connections(serve(answer), max_answer=100)
    with pytest.raises(NoAnswer) as caught:
        await connections.exchange("POST", "/x", b"{}")
    await connections.aclose()

    assert caught.value.sent
    assert not caught.value.late


async def test_a_server_that_does_not_answer_in_time_may_have_acted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        connections = Connections(url, timeouts=Timeouts.of(1.0))
        with pytest.raises(NoAnswer) as caught:
            await connections.exchange("POST", "/x", b"{}")
        await connections.aclose()

    assert caught.value.sent
    assert caught.value.late


@pytest.mark.parametrize(
    "url", ["", "host:1", "ftp://h", "http://", "http://h/?q", "http://h/#f", "http://h:x"]
)
def test_what_is_not_a_base_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="agent server URL"):
        base_url(url, "agent server", "http://127.0.0.1:1")


@pytest.mark.parametrize("begun", [b"", OK + b"\r\n{"])
@pytest.mark.parametrize("max_answer", [None, 100])
async def test_a_request_that_nobody_waits_for_gives_its_connection_up(
    begun: bytes, max_answer: int | None
) -> None:
    seen, gone = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(begun)
        seen.set()
        with contextlib.suppress(ConnectionResetError):  # closed with part of the answer unread
            assert await reader.read() == b""
        writer.close()
        gone.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        connections = Connections(f"http://127.0.0.1:{port}", max_answer=max_answer)
        task = asyncio.create_task(connections.exchange("POST", "/x", b"{}"))
        await seen.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(gone.wait(), 60)
        await connections.aclose()


async def test_a_header_that_cannot_be_sent_is_an_error_of_the_request(serve: Serve) -> None:
    connections = Connections(serve(OK + b"\r\n{}"))
    with pytest.raises(NoAnswer, match="header") as caught:
        await connections.exchange("GET", "/", headers={"x": "a\nb"})
    await connections.aclose()

    assert not caught.value.sent


async def test_a_body_can_be_sent_piece_by_piece() -> None:
    async def pieces() -> AsyncGenerator[bytes, str]:
        yield b"[1,"
        yield b"2]"

    got: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readuntil(b"0\r\n\r\n"))
        writer.write(OK + b"\r\n{}")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        connections = Connections(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        reply = await connections.exchange("POST", "/x", pieces)
        await connections.aclose()

    assert reply.content == b"{}"
    assert b"[1," in got[0]
    assert b"2]" in got[0]
