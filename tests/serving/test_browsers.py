"""What a web page could send is refused by every kind of server; what programs send is not."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import tracemalloc
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from every_server import KINDS, every_server, touched

from nemo_gym.serving.browsers import Address, WebPageGuard, allowed_hosts
from nemo_gym.wire.errors import UsageError

JSON = {"content-type": "application/json"}
PAGE = "http://page.example"


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    with every_server() as ports:
        yield ports


def ask(
    port: int, path: str, headers: dict[str, str], *, method: str = "POST", body: bytes | None = b"{}"
) -> tuple[int, str]:
    """Status and text of the answer to these very headers; `{port}` in them is filled in."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in {"host": "127.0.0.1:{port}", **headers}.items():
        if value:
            connection.putheader(name, value.replace("{port}", str(port)))
    if body is not None:
        connection.putheader("content-length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    text = answer.read().decode()
    assert "access-control-allow-origin" not in answer.headers
    connection.close()
    return answer.status, text


def hosted(name: str) -> dict[str, str]:
    return {**JSON, "host": name}


BAD_POSTS: dict[str, tuple[dict[str, str], int]] = {
    "a foreign host": (hosted("page.example"), 403),
    "a foreign host with our port": (hosted("page.example:{port}"), 403),
    "rebinding by a name with our address in it": (hosted("127.0.0.1.nip.example:{port}"), 403),
    "rebinding by a name that ends like ours": (hosted("localhost.page.example:{port}"), 403),
    "rebinding by a name that begins like ours": (hosted("notlocalhost:{port}"), 403),
    "two dots at the end": (hosted("localhost..:{port}"), 403),
    "every address": (hosted("0.0.0.0:{port}"), 403),
    "an address of the network": (hosted("192.168.1.7:{port}"), 403),
    "a user before the host": (hosted("127.0.0.1@page.example"), 403),
    "a port that is none": (hosted("127.0.0.1:80:80"), 403),
    "no host": (hosted(""), 403),
    "a foreign origin": ({**JSON, "origin": PAGE}, 403),
    "a foreign origin over TLS": ({**JSON, "origin": "https://page.example"}, 403),
    "the null origin": ({**JSON, "origin": "null"}, 403),
    "an empty port in the origin": ({**JSON, "origin": "http://127.0.0.1:"}, 403),
    "another server of this machine": ({**JSON, "origin": "http://127.0.0.1:1"}, 403),
    "an origin that begins like ours": ({**JSON, "origin": "http://127.0.0.1:{port}.page.example"}, 403),
    "an extension": ({**JSON, "origin": "chrome-extension://abcdef"}, 403),
    "another site, by Sec-Fetch-Site": ({**JSON, "sec-fetch-site": "cross-site"}, 403),
    "another port, by Sec-Fetch-Site": ({**JSON, "sec-fetch-site": "same-site"}, 403),
    "plain text": ({"content-type": "text/plain"}, 415),
    "plain text that mentions JSON": ({"content-type": "text/plain; application/json"}, 415),
    "two types": ({"content-type": "text/plain, application/json"}, 415),
    "a form": ({"content-type": "application/x-www-form-urlencoded"}, 415),
    "a form with files": ({"content-type": "multipart/form-data; boundary=x"}, 415),
    "no content type": ({}, 415),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", BAD_POSTS)
def test_what_a_page_could_send_is_refused(ports, kind, what):
    headers, status = BAD_POSTS[what]
    assert ask(ports[kind], KINDS[kind], headers)[0] == status


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "headers",
    [
        {"host": "page.example"},
        {"origin": PAGE},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_page_can_read_nothing(ports, kind, headers, method):
    assert ask(ports[kind], "/openapi.json", headers, method=method, body=None)[0] == 403


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_never_allowed_to_ask_for_more(ports, kind):
    wish = {"origin": PAGE, "access-control-request-method": "POST"}
    wish["access-control-request-headers"] = "content-type"
    assert ask(ports[kind], KINDS[kind], wish, method="OPTIONS", body=None)[0] == 403


def test_a_post_without_a_body_from_a_page_is_refused_too(ports):
    assert ask(ports["fastapi"], "/forget", {"origin": PAGE}, body=b"")[0] == 403
    assert touched == []
    assert ask(ports["fastapi"], "/forget", {}, body=None) == (200, '{"forgotten":true}')
    touched.clear()


def test_two_hosts_are_refused(ports):
    with socket.create_connection(("127.0.0.1", ports["head"]), timeout=60) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: page.example\r\nHost: 127.0.0.1\r\n\r\n")
        assert raw.recv(4096).split(b" ")[1] == b"400"


def test_a_refusal_says_what_would_be_right(ports):
    assert "allowed_hosts" in ask(ports["head"], "/", {"host": "gym.example"}, method="GET", body=None)[1]
    assert "application/json" in ask(ports["model"], "/v1/responses", {})[1]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:{port}", "localhost", "LocalHost:{port}", "localhost.:{port}", "[::1]:{port}", "127.9.9.9"],
)
def test_the_names_of_loopback_are_known(ports, host):
    assert ask(ports["head"], "/", {"host": host}, method="GET", body=None)[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://127.0.0.1:{port}", "sec-fetch-site": "same-origin"},
        {"origin": "http://localhost:{port}"},
        {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
    ],
    ids=str,
)
def test_the_servers_own_pages_and_links_to_them_work(ports, headers):
    assert ask(ports["head"], "/docs", headers, method="GET", body=None)[0] == 200


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/x+json"]
)
def test_json_by_any_of_its_names_is_read(ports, kind):
    assert ask(ports["model"], "/v1/responses", {"content-type": kind}, body=b'{"input": "hi"}')[0] == 200
    assert touched.pop() == "the model"


async def test_a_client_of_the_original_package_is_served(ports):
    """It is aiohttp with `json=`, or bytes that it calls JSON."""
    url = f"http://127.0.0.1:{ports['fastapi']}/seed_session"
    async with aiohttp.ClientSession() as client:
        async with client.post(url, json={}) as answer:
            assert answer.status == 200
        async with client.post(url, data=b"{}", headers=JSON) as answer:
            assert answer.status == 200


class Passed:
    """An app that notes that it was called."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, *_: Any) -> None:
        self.calls += 1


def status_of(guard: WebPageGuard, host: str, *, server: str = "10.1.2.3", kind: str = "http") -> Any:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": kind, "method": "GET", "headers": [(b"host", host.encode())], "server": (server, 80)}
    asyncio.run(guard(scope, None, send))  # type: ignore[arg-type]
    return sent[0].get("status", sent[0]["type"]) if sent else 200


@pytest.mark.parametrize(
    ("bound", "names", "host", "status"),
    [
        ("10.1.2.3", [], "10.1.2.3:11000", 200),
        ("10.1.2.3", [], "10.1.2.4:11000", 403),
        ("10.1.2.3", ["node7.cluster"], "NODE7.cluster.:11000", 200),
        ("10.1.2.3", [], "node7.cluster", 403),
        ("10.1.2.3", [], socket.gethostname(), 200),
        ("127.0.0.1", [], socket.gethostname() + ".example", 403),
        ("0.0.0.0", [], "10.1.2.3", 200),
        ("0.0.0.0", [], "10.1.2.4", 403),
        ("0.0.0.0", ["0.0.0.0"], "0.0.0.0:11000", 200),
        ("::", [], "[::ffff:10.1.2.3]:11000", 200),
        ("fd00::1", [], "[FD00:0::1]:11000", 200),
        ("fd00::1", [], "[fd00::2]:11000", 403),
        ("::1", [], "[0:0:0:0:0:0:0:1]", 200),
    ],
)
def test_a_server_answers_to_its_address_and_to_configured_names(bound, names, host, status):
    assert status_of(WebPageGuard(Passed(), bound=bound, names=names), host) == status


def test_names_of_any_length_are_refused_and_take_no_memory():
    guard = WebPageGuard(Passed())
    tracemalloc.start()
    for number in range(200):
        assert status_of(guard, f"{number}" + "x" * 100_000) == 403
        assert status_of(guard, "localhost" + "." * number + "x" * 100_000) == 403
    assert tracemalloc.get_traced_memory()[0] < 4_000_000
    tracemalloc.stop()


def test_a_websocket_of_a_page_is_closed_and_a_lifespan_passes():
    guard = WebPageGuard(app := Passed())
    assert status_of(guard, "page.example", kind="websocket") == "websocket.close"
    assert app.calls == 0
    assert status_of(guard, "page.example", kind="lifespan") == 200
    assert app.calls == 1


@pytest.mark.parametrize(
    "text", ["", ":80", "a b", "[::1", "::1", "a/b", "a:b", "ä.example", "[x]", "a:123456"]
)
def test_what_is_no_address_is_none(text):
    assert Address.read(text) is None


@pytest.mark.parametrize("value", ["gym.example", [1], {"a": 1}])
def test_allowed_hosts_is_a_list_of_names(value):
    with pytest.raises(UsageError, match="allowed_hosts: expected a list"):
        allowed_hosts({"allowed_hosts": value})


def test_nothing_was_started(ports):
    """The last of this file: whatever was refused above reached no handler."""
    assert json.loads(ask(ports["head"], "/server_instances", {}, method="GET", body=None)[1]) == []
    assert touched == []
