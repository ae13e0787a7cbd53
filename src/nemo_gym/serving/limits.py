"""How much one request may be: bytes, nesting and seconds."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The defaults leave room for prompts of a million tokens with token ids, turn after turn."""

    body_bytes: int = 256 << 20
    header_bytes: int = 64 << 10
    """Names and values of all request headers together."""
    nesting: int = 128
    """Levels of arrays and objects in a JSON body."""
    request_s: float = 7200.0
    """Seconds from the first byte of a request to the start of its answer."""


class LimitRequests:
    """ASGI middleware: 431, 413 and 504 for what is beyond the limits.

    It raises `HTTPException`, so something inside or outside must turn that into an answer.
    """

    def __init__(self, app: ASGIApp, *, limits: Limits) -> None:
        self.app = app
        self.limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limits = self.limits
        self._check_headers(scope)
        received = 0
        answered = False

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > limits.body_bytes:
                    raise _too_large(limits)
            return message

        async def noted(message: Message) -> None:
            nonlocal answered
            if not answered:
                answered = True
                deadline.reschedule(None)
            await send(message)

        deadline = asyncio.timeout(limits.request_s)
        try:
            async with deadline:
                await self.app(scope, counted, noted)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise HTTPException(504, f"no answer within {limits.request_s:g} seconds") from None

    def _check_headers(self, scope: Scope) -> None:
        size = 0
        for name, value in scope["headers"]:
            size += len(name) + len(value)
            if name == b"content-length" and _announced(value) > self.limits.body_bytes:
                raise _too_large(self.limits)
        if size > self.limits.header_bytes:
            raise HTTPException(431, f"the request headers are larger than {self.limits.header_bytes} bytes")


def nests_deeper(body: bytes, levels: int) -> bool:
    """Whether JSON text has more levels of arrays and objects than `levels`; other text may say either."""
    if body.count(b"[") + body.count(b"{") <= levels:
        return False
    brackets = _STRING.sub(b"", body).translate(_ONE_KIND, _NOT_BRACKETS)
    for _ in range(levels):
        inner = brackets.replace(b"[]", b"")
        if len(inner) == len(brackets):
            break
        brackets = inner
    return bool(brackets)


_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
"""A string, or what begins one that never ends: to look for its end again from each quote inside would take
the square of the body's length."""
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


def _announced(value: bytes) -> int:
    return int(value) if value.isdigit() else 0


def _too_large(limits: Limits) -> HTTPException:
    return HTTPException(413, f"the request body is larger than {limits.body_bytes} bytes")
