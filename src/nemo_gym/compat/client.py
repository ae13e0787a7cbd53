"""The aiohttp client of existing code, and functions that read its answers."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

import aiohttp
import msgspec
from aiohttp import ClientResponse, ClientResponseError, ClientSession
from pydantic import BaseModel

from nemo_gym.compat.global_config import settings
from nemo_gym.transport.retry import Retry
from nemo_gym.wire.jsonl import decode

CONNECTION_RETRY: Final = Retry(attempts=64, budget=60.0, base=0.25, cap=2.0)
"""How long a call waits for a server that starts or restarts. After that the call fails."""


class GlobalAIOHTTPAsyncClientConfig(BaseModel):
    """Limits of the client. The workers of a server share `per_host`."""

    global_aiohttp_connector_limit: int = 100 * 1024
    global_aiohttp_connector_limit_per_host: int = 1024
    global_aiohttp_client_request_debug: bool = False
    global_aiohttp_tcp_keepalive_idle_seconds: int = 60
    global_aiohttp_tcp_keepalive_interval_seconds: int = 10
    global_aiohttp_tcp_keepalive_probes: int = 3


@dataclass(frozen=True, slots=True)
class _LoopClient:
    """The client of an event loop and its settings; the end of `lifetime` closes the client."""

    client: ClientSession
    config: GlobalAIOHTTPAsyncClientConfig
    lifetime: AsyncGenerator[None]


_config: GlobalAIOHTTPAsyncClientConfig | None = None
_clients: Final[dict[asyncio.AbstractEventLoop, list[_LoopClient]]] = {}
"""The clients of each event loop. Only the last gets new requests; the others may have requests in flight."""


def _settings() -> GlobalAIOHTTPAsyncClientConfig:
    global _config
    if _config is None:
        _config = GlobalAIOHTTPAsyncClientConfig.model_validate(dict(settings()))
    return _config


def get_global_aiohttp_client() -> ClientSession:
    """This event loop's client: no cookie jar, no timeout, TCP keep-alive. Call it inside the loop.

    The client is closed by `close_global_aiohttp_client`, or when the loop shuts down as with `asyncio.run`.
    """
    loop, config = asyncio.get_running_loop(), _settings()
    of_loop = _clients.get(loop)
    if (
        of_loop
        and not (last := of_loop[-1]).client.closed
        and (last.config is config or last.config == config)
    ):
        return last.client
    for other in [*_clients]:
        if other.is_closed():
            _clients.pop(other, None)
    client = _new_client(config)
    open_clients = [one for one in _clients.get(loop, ()) if not one.client.closed]
    _clients[loop] = [*open_clients, _LoopClient(client, config, _lifetime_of(client))]
    return client


def _lifetime_of(client: ClientSession) -> AsyncGenerator[None]:
    """A suspended generator whose end closes the client. A loop that shuts down ends its generators."""

    async def lifetime() -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await client.close()

    suspended = lifetime()
    with suppress(StopIteration):
        suspended.asend(None).__await__().send(None)
    return suspended


def set_global_aiohttp_client(cfg: GlobalAIOHTTPAsyncClientConfig) -> ClientSession:
    """A new client with these limits. Every event loop uses the limits from its next request on."""
    global _config
    _config = cfg
    return get_global_aiohttp_client()


async def close_global_aiohttp_client() -> None:
    """Close this event loop's clients. The next request opens another with the settings of that time."""
    global _config
    _config = None
    for one in _clients.pop(asyncio.get_running_loop(), ()):
        await one.lifetime.aclose()


def is_global_aiohttp_client_setup() -> bool:
    """True once an event loop has its client."""
    return any(not one.client.closed for of_loop in [*_clients.values()] for one in of_loop)


def is_global_aiohttp_client_request_debug_enabled() -> bool:
    """True when the log has every failed answer in full."""
    return _settings().global_aiohttp_client_request_debug


def _new_client(config: GlobalAIOHTTPAsyncClientConfig) -> ClientSession:
    keepalive = {
        "TCP_KEEPIDLE": config.global_aiohttp_tcp_keepalive_idle_seconds,
        "TCP_KEEPINTVL": config.global_aiohttp_tcp_keepalive_interval_seconds,
        "TCP_KEEPCNT": config.global_aiohttp_tcp_keepalive_probes,
    }

    def make_socket(address: Any) -> socket.socket:
        new_socket = socket.socket(address[0], address[1], address[2])
        new_socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in keepalive.items():
            if hasattr(socket, name):
                new_socket.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        return new_socket

    connector = aiohttp.TCPConnector(
        limit=config.global_aiohttp_connector_limit,
        limit_per_host=config.global_aiohttp_connector_limit_per_host,
        keepalive_timeout=15,
        socket_factory=make_socket,
    )
    return ClientSession(
        connector=connector, timeout=aiohttp.ClientTimeout(total=None), cookie_jar=aiohttp.DummyCookieJar()
    )


async def request(method: str, url: str, *, _internal: bool = False, **kwargs: Any) -> ClientResponse:
    """Send one request, repeatedly while the server can't be reached. Every status is an answer, 500 too.

    A Pydantic `json` is sent without its unset fields.

    Raises:
        aiohttp.ClientError: there is no answer within the retry budget, or the request can't be sent.
    """
    if "json" in kwargs:
        kwargs["data"] = encode_body(kwargs.pop("json"))
        kwargs["headers"] = {"Content-Type": "application/json", **dict(kwargs.get("headers") or {})}
    give_up = monotonic() + CONNECTION_RETRY.budget
    failures = 0
    while True:
        try:
            return await get_global_aiohttp_client().request(method, url, **kwargs)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            failures += 1
            wait = CONNECTION_RETRY.wait(failures, None)
            if failures >= CONNECTION_RETRY.attempts or monotonic() + wait > give_up:
                raise
            await asyncio.sleep(wait)


def encode_body(value: Any) -> bytes:
    """JSON of a body that may hold Pydantic models."""
    return _encoder.encode(_plain(value))


async def get_response_json(response: ClientResponse) -> Any:
    """The decoded JSON of an answer."""
    return decode(await response.read())


async def raise_for_status(response: ClientResponse) -> None:
    """Do nothing for an answer below 400; log any other.

    Raises:
        ClientResponseError: with the body of the answer as `response_content`, bytes.
    """
    if response.ok:
        return
    content = await response.content.read()
    try:
        response.raise_for_status()
    except ClientResponseError as error:
        start = content if is_global_aiohttp_client_request_debug_enabled() else content[:_MAX_LOG_BYTES]
        log.warning("%s answered %s: %r", getattr(response, "url", "a server"), error.status, start)
        error.response_content = content  # type: ignore[attr-defined]  # what existing code reads
        raise


def _plain(value: Any) -> Any:
    return value.model_dump(exclude_unset=True, mode="json") if isinstance(value, BaseModel) else value


_encoder = msgspec.json.Encoder(enc_hook=_plain)
_MAX_LOG_BYTES: Final = 1000
"""Of a failed answer, unless `global_aiohttp_client_request_debug` asks for all bytes."""
log: Final = logging.getLogger(__name__)
