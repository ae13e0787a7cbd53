"""Proxy variables: for whom they hold, how NO_PROXY is read, and that an error names the proxy."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from nemo_gym.serving.health import check_health
from nemo_gym.transport.exchange import Connections, NoAnswer
from nemo_gym.transport.http import Endpoint
from nemo_gym.transport.proxies import Proxy, is_loopback, proxy_of
from nemo_gym.transport.retry import Retry
from nemo_gym.transport.service import Service
from nemo_gym.wire.errors import GymError, ModelError, UsageError

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
FAR = "http://192.0.2.7:9"
"""An address of the documentation's network, which nobody has."""


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@asynccontextmanager
async def proxy(
    answer: bytes = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 2\r\n\r\nno",
) -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy that answers everything itself; its host and port, and the heads of the requests it saw."""
    heads: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", heads


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000/v1", "https://LOCALHOST", "http://a.localhost", "http://127.0.0.1:1", "http://127.9.9.9",
        "http://127.1", "http://[::1]:5", "http://[::ffff:127.0.0.1]", "http://0.0.0.0:80", "http://localhost.",
    ],
)  # fmt: skip
def test_loopback_never_has_a_proxy(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy.example:3128")
    assert proxy_of(url) is None
    assert not is_loopback("localhost.example")


@pytest.mark.parametrize(
    ("no_proxy", "url", "direct"),
    [
        ("*", "http://a.example", True),
        ("*, b.example", "http://a.example", False),
        ("a.example", "http://a.example:8000", True),
        ("A.Example.", "http://a.example.", True),
        ("example", "http://a.example", True),
        ("ample", "http://a.example", False),
        (".a.example", "http://a.example", True),
        ("x.example b.example\ta.example", "http://a.example", True),
        ("a.example:8000", "http://a.example:8000", False),
        ("*.example", "http://a.example", False),
        ("192.168.0.0/16", "http://192.168.7.7", True),
        ("192.168.0.0/16", "http://192.169.7.7", False),
        ("192.168.7.7", "http://192.168.7.7", True),
        ("168.7.7", "http://192.168.7.7", False),
        ("[2001:db8::1]", "http://[2001:db8::1]:80", True),
        ("2001:db8::/32", "http://[2001:db8::1]", True),
        ("", "http://a.example", False),
    ],
)
def test_no_proxy_is_read_as_curl_reads_it(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str, url: str, direct: bool
) -> None:
    monkeypatch.setenv("http_proxy", "proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert (proxy_of(url) is None) is direct


def test_the_variable_of_the_scheme_comes_before_the_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@secure.example:1")
    monkeypatch.setenv("all_proxy", "socks5h://any.example:2")
    assert str(proxy_of("https://a.example")) == "secure.example:1 (HTTPS_PROXY)"
    assert str(proxy_of("http://a.example")) == "any.example:2 (all_proxy)"


@pytest.mark.parametrize("value", ["ftp://x", "http://", "http://x:99999", "http://[::1"])
def test_a_variable_that_holds_no_proxy_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("http_proxy", value)
    with pytest.raises(UsageError, match="http_proxy: not the URL of a proxy: expected something like"):
        proxy_of("http://a.example")


async def test_requests_go_through_the_proxy_with_its_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    async with proxy(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi") as (place, heads):
        monkeypatch.setenv("http_proxy", f"http://me:secret@{place}")
        connections = Connections(FAR)
        assert (await connections.exchange("GET", "/x")).text == "hi"
    assert heads[0].startswith(f"GET {FAR}/x HTTP/1.1")
    assert f"proxy-authorization: Basic {base64.b64encode(b'me:secret').decode()}" in heads[0]


async def test_a_server_of_our_own_is_not_ready_because_a_proxy_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with proxy() as (place, heads):
        monkeypatch.setenv("HTTP_PROXY", f"http://{place}")
        assert await check_health(FAR, None, within=0.05) != "success"
        assert Service(FAR, "resources server")._connections.proxy is None
        with pytest.raises(GymError, match="no resources server at"):
            await Service(FAR, "resources server", retry=Retry(attempts=1, budget=0.1)).get("/")
    assert heads == []


async def test_an_endpoint_behind_a_proxy_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    async with proxy() as (place, _):
        monkeypatch.setenv("http_proxy", f"http://me:secret@{place}")
        endpoint = Endpoint(FAR, retry=Retry(attempts=1))
        named = rf"\(through the proxy {place} \(http_proxy\)\)"
        with pytest.raises(ModelError, match=f"{named} answered HTTP 502"):
            await endpoint.post("/chat/completions", b"{}", bytes)
        with pytest.raises(GymError, match=f"no model endpoint at {FAR}/v1 {named}: HTTP 502"):
            await endpoint.check()


async def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with pytest.raises(
        NoAnswer, match=r"through the proxy 127\.0\.0\.1:1 \(HTTPS_PROXY\): Connection refused"
    ):
        await Connections("https://a.example").exchange("GET", "/")


@pytest.mark.parametrize("host", ["ip6-localhost", "LOCALHOST.localdomain", socket.gethostname()])
def test_this_machine_by_its_names_never_has_a_proxy(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("all_proxy", "proxy.example:3128")
    assert proxy_of(f"http://{host}:8000/v1") is None
    assert proxy_of("http://somewhere.example") is not None


@pytest.mark.parametrize("password", ["12#3", "12?3", "12/3"])
def test_a_password_that_splits_the_url_is_not_shown(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    monkeypatch.setenv("http_proxy", f"http://user:{password}@proxy.example:3128")
    with pytest.raises(UsageError, match="http_proxy: not the URL of a proxy") as error:
        proxy_of("http://somewhere.example")
    assert "12" not in str(error.value).replace("3128", "")


async def test_a_direct_endpoint_has_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with proxy(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}") as (place, heads):
        monkeypatch.setattr("nemo_gym.transport.exchange.proxy_of", lambda _: Proxy(FAR, "http_proxy"))
        direct = Endpoint(f"http://{place}", retry=Retry(attempts=1), direct=True)
        assert await direct.post("/responses", b"{}", bytes) == b"{}"
    assert heads[0].startswith("POST /v1/responses ")
