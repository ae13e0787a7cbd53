"""The client of one sandbox server: orders that are carried out once, and leases that last while it lives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Final, TypeVar
from uuid import uuid4

import msgspec

from nemo_gym.sandbox.errors import SandboxFileError, SandboxUnreachable
from nemo_gym.sandbox.providers.remote import messages
from nemo_gym.support.finishing import finish
from nemo_gym.transport.exchange import Body, Reply, Timeouts
from nemo_gym.transport.retry import Retry
from nemo_gym.transport.service import Service
from nemo_gym.wire.errors import ServerTimeout, ServerUnreachable
from nemo_gym.wire.jsonl import encode

T = TypeVar("T")

log: Final = logging.getLogger(__name__)

_TRANSFER_S: Final = 600.0
_CANCEL_S: Final = 5.0
_DOWN_S: Final = 30.0
"""Seconds for which a server that did not answer is the last choice."""
_PATIENCE: Final = Retry(attempts=7, budget=40.0, base=0.2, cap=4.0)
"""About ten seconds of refused connections."""


@dataclass(slots=True)
class RemoteSandbox:
    """A sandbox of a server: the `raw` of its handle."""

    server: Server
    id: str
    isolation: str


class Server:
    """A sandbox server.

    Args:
        most_bytes: the limit of a file.
        timeout_s: seconds for one request.

    Raises:
        UsageError: the URL is wrong.
    """

    def __init__(self, url: str, token: str, *, most_bytes: int, timeout_s: float) -> None:
        timeouts = Timeouts(read=_TRANSFER_S, total=timeout_s)
        self._service = Service(url, "sandbox server", token=token, timeouts=timeouts, retry=_PATIENCE)
        self._most_bytes = most_bytes
        self._leases: set[str] = set()
        self._orders = 0
        self._lease_s = 60.0
        self._down_until = 0.0
        self._renewing: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Its base URL."""
        return self._service.url

    @property
    def load(self) -> int:
        """The number of sandboxes and of orders without an answer."""
        return len(self._leases) + self._orders

    @property
    def is_down(self) -> bool:
        """Whether it did not answer lately."""
        return monotonic() < self._down_until

    async def start(self, order: messages.Create | messages.Connect) -> RemoteSandbox:
        """A sandbox, whose lease is renewed until `close`."""
        started = await self.order(order, messages.Started)
        self._leases.add(started.sandbox)
        self._lease_s = started.lease_s
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew())
        return RemoteSandbox(self, started.sandbox, started.isolation)

    async def close(self, sandbox: str) -> None:
        """End a sandbox. On a server that did not answer lately its lease ends it."""
        self._leases.discard(sandbox)
        if not self._leases:
            await self._stop_renewing()
        if not self.is_down:
            await self.order(messages.Close(sandbox), messages.Nothing)

    async def order(self, order: messages.Order, answer: type[T]) -> T:
        """The answer to an order. A cancellation is passed on to the server.

        Raises:
            SandboxUnreachable: the server does not answer, or has the sandbox no more.
            Exception: the order raised it there.
        """
        key = uuid4().hex
        body = encode(msgspec.to_builtins(messages.Request(key, order)))
        return await self._carry_out(key, answer, messages.ORDERS, body)

    async def upload(self, order: messages.Upload, pieces: Callable[[], AsyncGenerator[bytes, str]]) -> None:
        """Send a file in pieces.

        Raises:
            SandboxFileError: the server can't write it.
            SandboxUnreachable: the server does not answer, or has the sandbox no more.
        """
        key = uuid4().hex
        try:
            header = messages.to_header(messages.Request(key, order))
        except UnicodeEncodeError:
            raise SandboxFileError(f"{order.path!r}: such a path can't be sent") from None
        headers = {messages.ORDER_HEADER: header, "content-type": messages.BYTES}
        await self._carry_out(
            key, messages.Nothing, messages.UPLOADS, pieces, headers=headers, within=_TRANSFER_S
        )

    async def read(self, request: messages.FileRequest) -> bytes:
        """A file of a sandbox. Raises like `upload`."""
        body = encode(msgspec.to_builtins(request))
        return (await self._post(messages.FILES, body, within=_TRANSFER_S)).content

    async def aclose(self) -> None:
        """End every sandbox that is still open, and close every connection."""
        with suppress(SandboxUnreachable):
            await asyncio.gather(*(self.close(sandbox) for sandbox in list(self._leases)))
        await self._stop_renewing()
        await self._service.aclose()

    async def _carry_out(
        self,
        key: str,
        answer: type[T],
        path: str,
        body: Body,
        *,
        headers: dict[str, str] | None = None,
        within: float | None = None,
    ) -> T:
        self._orders += 1
        try:
            reply = await self._post(path, body, headers=headers, within=within)
            while reply.status == messages.PENDING:
                reply = await self._post(messages.ANSWERS, encode({"key": key}))
        except asyncio.CancelledError:
            if not self.is_down:
                await finish(self._cancel(key))
            raise
        finally:
            self._orders -= 1
        try:
            return msgspec.json.decode(reply.content, type=answer)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise SandboxUnreachable(f"{self.url} answered with something else: {error}") from None

    async def _cancel(self, key: str) -> None:
        with suppress(TimeoutError, SandboxUnreachable):
            async with asyncio.timeout(_CANCEL_S):
                await self._post(messages.CANCELS, encode({"key": key}))

    async def _post(
        self, path: str, body: Body, *, headers: dict[str, str] | None = None, within: float | None = None
    ) -> Reply:
        """The answer of the server.

        Raises:
            SandboxUnreachable: there is none, or not a usable one.
            Exception: the order raised it.
        """
        try:
            reply = await self._service.post(
                path,
                body,
                headers=headers,
                repeatable=True,
                within=within,
                max_answer=self._most_bytes + _SPARE,
            )
        except (ServerUnreachable, ServerTimeout) as error:
            self._down_until = monotonic() + _DOWN_S
            raise SandboxUnreachable(str(error)) from error
        self._down_until = 0.0
        match reply.status:
            case 200 | messages.PENDING:
                return reply
            case messages.REFUSED:
                raise _error_of(reply)
            case 401:
                raise SandboxUnreachable(f"the sandbox server {self.url} refuses the token", http_status=401)
            case status:
                text = " ".join(reply.text[:2000].split())[:300]
                raise SandboxUnreachable(
                    f"{self.url}{path} answered HTTP {status}: {text}", http_status=status
                )

    async def _renew(self) -> None:
        """Renew the leases of all sandboxes, until this is cancelled."""
        while True:
            await asyncio.sleep(self._lease_s / 3)
            try:
                await self._post(messages.LEASES, encode({"sandboxes": sorted(self._leases)}))
            except SandboxUnreachable as error:
                log.warning("the leases of sandboxes can't be renewed: %s", error)

    async def _stop_renewing(self) -> None:
        renewing, self._renewing = self._renewing, None
        if renewing is not None:
            renewing.cancel()
            await asyncio.wait([renewing])


def _error_of(reply: Reply) -> Exception:
    try:
        error = msgspec.json.decode(reply.content, type=messages.Refusal).exception()
    except (msgspec.DecodeError, UnicodeError, RecursionError) as problem:
        return SandboxUnreachable(f"a refusal that can't be read: {problem}")
    if isinstance(error, SandboxUnreachable):
        error.http_status = reply.status
    return error


_SPARE: Final = 4 * messages.MOST_OUTPUT
"""Bytes of an answer beside a file: the output of a command or a program."""
