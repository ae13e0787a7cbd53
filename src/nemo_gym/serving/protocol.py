"""The HTTP protocol with limits on the bytes and the seconds of a request that is still arriving.

Uvicorn itself collects a header of any length and waits for its end without a limit: one connection could use
all memory and all time of the event loop.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

HEAD_BYTES: Final = 128 << 10
"""The most bytes in a row outside a body: request line, headers, trailers, chunk extensions."""
HEAD_S: Final = 60.0
"""Seconds for the whole head of a request."""
BODY_S: Final = 600.0
"""Seconds for the body after the head."""


class RequestProtocol(HttpToolsProtocol):
    """Uvicorn's protocol with limits. Trailers are dropped. The host in an absolute request line replaces the
    Host header (RFC 9112)."""

    def __init__(
        self,
        *args: Any,
        head_bytes: int = HEAD_BYTES,
        head_s: float = HEAD_S,
        body_s: float = BODY_S,
        **settings: Any,
    ) -> None:
        super().__init__(*args, **settings)
        self._head_bytes = head_bytes
        self._seconds = {_HEAD: head_s, _BODY: body_s}
        self._stage = _HEAD
        self._timer_stage = _NOTHING
        self._timer: asyncio.TimerHandle | None = None
        self._silent = 0
        """Bytes in a row outside a body."""
        self._head_count = 0
        """The number of headers of the request; later ones are trailers."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._set_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stage = _NOTHING
        self._set_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._silent += len(data)
        super().data_received(data)
        if self._silent > self._head_bytes and not self.transport.is_closing():
            self._refuse()
        elif self._stage != self._timer_stage:
            self._set_timer()

    def on_message_begin(self) -> None:
        self._stage = _HEAD
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._stage, self._silent = _BODY, 0
        if not self.url.startswith((b"/", b"*")):
            self._take_host_of_url()
        self._head_count = len(self.headers)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._silent = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._stage, self._silent = _NOTHING, 0
        del self.headers[self._head_count :]
        super().on_message_complete()

    def _take_host_of_url(self) -> None:
        _, _, rest = self.url.partition(b"://")
        authority, _, _ = rest.partition(b"/")
        self.headers[:] = [pair for pair in self.headers if pair[0] != b"host"]
        self.headers.append((b"host", authority))

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_stage = self._stage
        seconds = self._seconds.get(self._stage)
        self._timer = None if seconds is None else self.loop.call_later(seconds, self.transport.close)

    def _refuse(self) -> None:
        text = b"the head of the request is too large"
        self.transport.write(
            STATUS_LINE[431]
            + b"content-type: text/plain\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(text)
            + text
        )
        self.transport.close()


def protocol(header_bytes: int = 0) -> Any:
    """The value of uvicorn's setting `http`, for headers of so many bytes."""
    return partial(RequestProtocol, head_bytes=max(HEAD_BYTES, 2 * header_bytes))


_NOTHING, _HEAD, _BODY = 0, 1, 2
"""What a connection waits for: the next request, the rest of a head, or the rest of a body."""
