"""The endpoint client against a real server process that misbehaves on purpose."""

from __future__ import annotations

import asyncio
import gzip
import socket
from contextlib import suppress
from time import monotonic

import pytest
from conftest import StartEndpoint

from nemo_gym import ask
from nemo_gym.models.chat import ChatModel
from nemo_gym.models.remote import RemoteModel
from nemo_gym.models.responses import ResponsesModel
from nemo_gym.transport import http
from nemo_gym.transport.breaker import Breaker
from nemo_gym.transport.exchange import NoAnswer, Timeouts
from nemo_gym.transport.http import Endpoint, check_url, failure_before
from nemo_gym.transport.retry import Retry
from nemo_gym.wire.errors import (
    GymError,
    ModelDenied,
    ModelError,
    ModelRejected,
    ModelTimeout,
    ModelUnreachable,
    RateLimited,
    UsageError,
)

QUICK = Retry(attempts=3, budget=60.0, base=0.01, cap=0.05)


@pytest.mark.parametrize("kind", [ChatModel, ResponsesModel])
async def test_both_dialects_give_the_same_response(
    start_endpoint: StartEndpoint, kind: type[RemoteModel]
) -> None:
    async with kind(start_endpoint(), "m") as model:
        response = await model.responses(ask("say hello"))

    assert response.output_text == "hello"
    assert response.usage is not None
    assert response.usage["output_tokens"] == 2


@pytest.mark.parametrize(
    ("fault", "error", "attempts"),
    [
        ("429", RateLimited, 3),
        ("500", ModelError, 3),
        ("garbage", ModelError, 3),
        ("empty", ModelError, 3),
        ("half", ModelUnreachable, 3),
        ("hang", ModelTimeout, 3),
        ("400", ModelRejected, 1),
        ("401", ModelDenied, 1),
    ],
)
async def test_every_fault_ends_in_its_own_error_within_the_budget(
    start_endpoint: StartEndpoint, fault: str, error: type[ModelError], attempts: int
) -> None:
    url = start_endpoint(fault_share=1, faults=fault)
    timeouts = Timeouts.of(0.5 if fault == "hang" else 60)
    async with ChatModel(url, "m", retry=QUICK, timeouts=timeouts) as model:
        with pytest.raises(error) as caught:
            await model.responses(ask("say hello"))
        client = model.endpoint
        assert type(caught.value) is error
        assert url in str(caught.value)
        assert "attempt" in str(caught.value) or attempts == 1
        assert client.pushbacks == (3 if fault in ("429", "hang") else 0)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (b"retry-after-ms: 1500\r\nretry-after: 9\r\n", 1.5),
        (b"retry-after: 9\r\n", 9.0),
        (b"retry-after-ms: soon\r\n", None),
    ],
)
async def test_how_long_an_endpoint_wants_to_be_left_alone(headers: bytes, seconds: float | None) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 429 X\r\ncontent-length: 0\r\n" + headers + b"\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        endpoint = Endpoint(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", retry=Retry(attempts=1))
        with pytest.raises(RateLimited) as caught:
            await endpoint.post("/x", b"", bytes)
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize("packed", [True, False])
async def test_an_answer_without_end_is_not_kept_in_memory(
    monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    """A few kilobytes that unpack into megabytes, or pieces that never end."""

    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        with suppress(ConnectionError):
            if packed:
                body = gzip.compress(b"x" * (4 << 20))
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body)
                )
                writer.write(body)
            else:
                writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                while True:
                    writer.write(b"10000\r\n" + b"y" * (1 << 16) + b"\r\n")
                    await writer.drain()
            await writer.drain()
        writer.close()
        gone.set()

    monkeypatch.setattr(http, "MAX_ANSWER", 1 << 20)
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        endpoint = Endpoint(
            f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", retry=Retry(attempts=1)
        )
        with pytest.raises(ModelError, match="the answer is larger than 1048576 bytes"):
            await endpoint.post("/x", b"{}", bytes)
        await endpoint.aclose()
        await asyncio.wait_for(gone.wait(), 60)


async def test_the_body_of_a_refusal_is_kept(start_endpoint: StartEndpoint) -> None:
    async with ChatModel(start_endpoint(fault_share=1, faults="400"), "m") as model:
        with pytest.raises(ModelRejected) as caught:
            await model.responses(ask("say hello"))

    assert caught.value.http_status == 400
    assert "no such parameter" in (caught.value.body or "")
    assert caught.value.terminal


async def test_calls_succeed_when_only_some_attempts_fail(start_endpoint: StartEndpoint) -> None:
    url = start_endpoint(fault_share=0.4, faults="429,500,garbage,empty,half")
    retry = Retry(attempts=20, budget=20.0, base=0.001, cap=0.01)
    async with ChatModel(url, "m", retry=retry) as model:
        answers = [(await model.responses(ask(f"say {n}"))).output_text for n in range(40)]

    assert answers == [str(n) for n in range(40)]


async def test_nobody_at_the_url_is_one_clear_line() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    async with ChatModel(url, "m") as model:
        with pytest.raises(GymError, match=f"no model endpoint at {url}/v1: .*refused"):
            await model.check()


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://host:8000", "http://host:8000/v1"),
        ("http://host:8000/", "http://host:8000/v1"),
        ("https://host/v1/", "https://host/v1"),
        ("https://host/v1/chat/completions", "https://host/v1"),
        ("https://host/openai/v1/responses", "https://host/openai/v1"),
    ],
)
def test_urls_are_brought_to_one_form(url: str, base: str) -> None:
    assert check_url(url) == base


@pytest.mark.parametrize("url", ["", "host:8000", "ftp://host", "http://", "http://u:p@host", "http://h:x/"])
def test_a_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="model URL"):
        check_url(url)


def test_a_password_in_a_url_is_not_repeated_in_the_error() -> None:
    with pytest.raises(UsageError) as caught:
        check_url("http://user:hunter2@host")

    assert "hunter2" not in str(caught.value)


def test_waits_grow_are_capped_and_honour_retry_after() -> None:
    retry = Retry(base=1.0, cap=8.0)

    assert 0.5 <= retry.wait(1, None) <= 1.0
    assert 2.0 <= retry.wait(3, None) <= 4.0
    assert 4.0 <= retry.wait(30, None) <= 8.0
    assert retry.wait(1, 17.0) == 17.0


async def test_an_open_breaker_lets_one_probe_through_and_a_success_closes_it() -> None:
    breaker = Breaker(threshold=3, patience=60.0)
    for _ in range(3):
        breaker.record_failure("connection refused")

    with pytest.raises(NoAnswer, match="connection refused"):
        await breaker.admit(give_up=monotonic() + 0.01)
    await breaker.admit(give_up=monotonic() + 10)
    with pytest.raises(NoAnswer):
        await breaker.admit(give_up=monotonic() + 0.01)
    breaker.record_success()
    await breaker.admit(give_up=0.0)


def test_failures_between_successes_do_not_open_the_breaker() -> None:
    breaker = Breaker(threshold=3)
    for _ in range(10):
        breaker.record_failure("x")
        breaker.record_failure("x")
        breaker.record_success()

    assert not breaker.is_open


def test_the_failure_before_a_timeout_is_found_and_the_search_has_an_end() -> None:
    failure, late, cancelled = ModelError("busy"), TimeoutError(), asyncio.CancelledError()
    late.__cause__, cancelled.__cause__ = cancelled, failure
    assert failure_before(late) is failure
    cancelled.__cause__ = late
    assert failure_before(late) is None
