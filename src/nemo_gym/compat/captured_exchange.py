"""Keeps a copy of the request and the answer of an ASGI app."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import monotonic, time

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Exchange:
    """One call of an app: the bytes of request and answer so far, and their times."""

    def __init__(self) -> None:
        self.request, self.answer = bytearray(), bytearray()
        self.status = 500
        self.is_stream = False
        self.started_at = time()
        """Unix time, seconds."""
        self.latency_ttft_ms: float | None = None
        self._started = monotonic()

    @property
    def latency_ms(self) -> float:
        """Time since the call began."""
        return (monotonic() - self._started) * 1000

    async def watch(
        self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, ended: Callable[[], Awaitable[None]]
    ) -> None:
        """Run an app and pass its messages on unchanged. Await `ended` before the last byte of the answer
        leaves."""

        async def receive_and_copy() -> Message:
            message = await receive()
            self.request += message.get("body", b"")
            return message

        async def copy_and_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
                kinds = [value for name, value in message["headers"] if name.lower() == b"content-type"]
                self.is_stream = any(kind.startswith(b"text/event-stream") for kind in kinds)
            elif message["type"] == "http.response.body":
                if self.latency_ttft_ms is None and message.get("body"):
                    self.latency_ttft_ms = self.latency_ms
                self.answer += message.get("body", b"")
                if not message.get("more_body"):
                    await ended()
            await send(message)

        await app(scope, receive_and_copy, copy_and_send)
