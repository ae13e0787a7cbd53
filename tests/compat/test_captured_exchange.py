"""A watched request passes unchanged, and what was noted of it is complete before its answer is."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from nemo_gym.compat.captured_exchange import Exchange
from nemo_gym.compat.handlers import object_in


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message.get("more_body", False)
    headers = [(b"Content-Type", b"text/event-stream; charset=utf-8")]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": body[:2], "more_body": True})
    await send({"type": "http.response.body", "body": body[2:]})


async def test_a_request_passes_unchanged_and_is_noted_before_the_last_byte_leaves() -> None:
    asked: list[Message] = [
        {"type": "http.request", "body": b"ab", "more_body": True},
        {"type": "http.request", "body": b"cd"},
    ]
    left, sent = list(asked), []
    exchange, sent_at_end = Exchange(), []

    async def receive() -> Message:
        return left.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    async def ended() -> None:
        sent_at_end.append(len(sent))

    await exchange.watch(echo, {"type": "http"}, receive, send, ended)
    assert [message.get("body") for message in sent] == [None, b"ab", b"cd"]
    assert (exchange.request, exchange.answer) == (b"abcd", b"abcd")
    assert (exchange.status, exchange.is_stream) == (201, True)
    assert exchange.latency_ttft_ms is not None
    assert sent_at_end == [2]


@pytest.mark.parametrize(
    ("data", "value"), [(b'{"a": 1}', {"a": 1}), (b"[1]", None), (b"{", None), (b"\xff", None)]
)
def test_only_an_object_is_one(data: bytes, value: Any) -> None:
    assert object_in(data) == value
