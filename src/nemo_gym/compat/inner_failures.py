"""Turns a failed call from one server to another into a typed failure for error answers."""

from __future__ import annotations

from aiohttp import ClientResponseError
from starlette.types import ASGIApp, Receive, Scope, Send

from nemo_gym.wire.errors import RolloutError


class InnerFailures:
    """ASGI middleware: turns errors of `raise_for_status` into a `RolloutError` with the server's answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, receive, send)
        except ClientResponseError as error:
            content: bytes | None = getattr(error, "response_content", None)
            if content is None:
                raise
            body = content.decode(errors="replace")
            raise RolloutError(
                f"HTTP {error.status} {error.message}", http_status=error.status, body=body
            ) from error
