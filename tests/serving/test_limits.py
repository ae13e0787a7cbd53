"""What is too large, too deep or too slow is refused with a clear 4xx (504 for time)."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.testclient import TestClient

from nemo_gym.serving.answers import JsonResponse
from nemo_gym.serving.app import base_app
from nemo_gym.serving.bodies import read_object
from nemo_gym.serving.limits import Limits, nests_deeper
from nemo_gym.serving.openapi import ApiRoute
from nemo_gym.serving.options import AppOptions
from nemo_gym.wire.errors import UsageError


def client(**limits: Any) -> TestClient:
    """A server with one route that answers with the number of keys of its body."""
    options = AppOptions(limits=Limits(**limits))

    async def count(request: Request) -> JsonResponse:
        return JsonResponse(len(await read_object(request)))

    async def hang(_: Request) -> JsonResponse:
        await asyncio.Event().wait()
        raise AssertionError

    return TestClient(base_app("Counter___c", [ApiRoute("/count", count), ApiRoute("/hang", hang)], options))


def test_a_body_within_the_limits_is_read():
    assert client().post("/count", json={"a": 1, "b": [[{}]]}).json() == 2


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_that_is_too_large_gets_413_announced_or_not(announced):
    body = json.dumps({"text": "x" * 2000}).encode()
    content = body if announced else iter([body[:900], body[900:]])

    answer = client(body_bytes=1000).post("/count", content=content)

    assert answer.status_code == 413
    told = "the request body is larger than 1000 bytes (request_limits.body_bytes sets the limit)"
    assert answer.json() == {"detail": told}


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize(
    ("setting", "body"),
    [
        ("body_values", {"ids": [7] * 1001}),
        ("body_values", {f"k{n}": 1 for n in range(1001)}),
        ("body_containers", {"lists": [[]] * 1001}),
        ("body_containers", [{"a": 1}] * 1001),
    ],
)
def test_too_many_values_get_413_before_they_are_decoded(setting, body, announced):
    text = json.dumps(body).encode()
    content = text if announced else iter([text[:700], text[700:1900], text[1900:]])

    answer = client(**{setting: 1000}).post("/count", content=content)

    assert answer.status_code == 413
    assert f"request_limits.{setting} sets the limit" in answer.json()["detail"]


@pytest.mark.parametrize("separator", [":", " \n: "])
@pytest.mark.parametrize("split", [1, 700])
def test_one_object_with_too_many_keys_gets_413(separator, split):
    text = ("{" + ",".join(f'"k{n}"{separator}1' for n in range(1100)) + "}").encode()
    content = iter([text[:split], text[split:]])

    answer = client(body_keys=1000).post("/count", content=content)

    assert answer.status_code == 413
    assert "request_limits.body_keys sets the limit" in answer.json()["detail"]


def test_one_object_with_millions_of_keys_is_refused_by_default():
    text = b"{" + b",".join(b'"%d":1' % n for n in range(600_000)) + b"}"

    assert client().post("/count", content=text).status_code == 413


@pytest.mark.parametrize(
    "body", [{"rows": [{"a": 1, "b": 2, "c": 3}] * 1000}, {"text": "12:34:56, " * 2000}, {"ids": [7] * 5000}]
)
def test_small_objects_texts_and_numbers_are_not_taken_for_many_keys(body):
    assert client(body_keys=1000).post("/count", json=body).json() == 1


def test_a_long_text_is_one_value():
    body = {"text": "[{,}]" * 1000}
    assert client(body_values=6000, body_containers=6000).post("/count", json=body).json() == 1


def test_other_requests_are_answered_while_a_large_body_is_decoded(monkeypatch):
    """The decoding waits for an answer to another request, which it would keep waiting on the event loop."""
    app, answered = client().app, threading.Event()

    def decode(body: bytes) -> dict[str, int]:
        assert answered.wait(60)
        return {"a": 1}

    monkeypatch.setattr("nemo_gym.serving.bodies.decode_pieces", decode)

    async def both() -> tuple[httpx.Response, httpx.Response]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as caller:
            large = asyncio.create_task(caller.post("/count", content=b'{"a": "%b"}' % (b"x" * (1 << 20))))
            await asyncio.sleep(0)
            other = await caller.get("/")
            answered.set()
            return await large, other

    large, other = asyncio.run(both())
    assert (large.json(), other.json()) == (1, {"status": "ok"})


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"body_bytes": "much"}, "body_bytes"),
        ({"body_bites": 5}, "body_bites"),
        ({"nesting": 0}, "nesting must be more than 0"),
    ],
)
def test_a_limit_that_is_none_is_refused(settings, problem):
    with pytest.raises(UsageError, match=f"request_limits: .*{problem}"):
        Limits.of({"request_limits": settings})


def test_limits_come_from_the_configuration():
    assert Limits.of({"request_limits": {"body_bytes": 5}}) == Limits(body_bytes=5)
    assert Limits.of({}) == Limits()


def test_headers_that_are_too_large_get_431():
    answer = client(header_bytes=1000).post("/count", json={}, headers={"x-long": "y" * 1000})

    assert answer.status_code == 431


def test_json_that_nests_too_deeply_gets_422():
    answer = client(nesting=10).post("/count", json={"a": [[[[[[[[[[]]]]]]]]]]})

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["type"] == "json_too_deep"


@pytest.mark.parametrize("depth", [500, 5_000, 500_000])
def test_absurd_nesting_is_refused_whatever_its_depth(depth):
    answer = client().post("/count", content=b'{"a":' + b"[" * depth + b"]" * depth + b"}")

    assert answer.status_code == 422


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"3", b"\xff\xfe", b'{"a": NaN}', b'{"a":1} x'])
def test_what_is_not_a_json_object_gets_422(body):
    answer = client().post("/count", content=body)

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body"]


def test_a_request_that_takes_too_long_gets_504_with_its_cookie():
    answer = client(request_s=0.05).post("/hang")

    assert answer.status_code == 504
    assert answer.json() == {"detail": "no answer within 0.05 seconds"}
    assert "Counter___c" in answer.cookies


VALUES = st.recursive(
    st.none() | st.integers() | st.text(alphabet='[]{}"\\,:a', max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('[]{}"\\', max_size=4), inner, max_size=3)
    ),
    max_leaves=20,
)


@given(VALUES, st.integers(0, 8))
def test_depth_is_that_of_the_value_whatever_its_strings_hold(value, levels):
    assert nests_deeper(json.dumps(value).encode(), levels) == (depth(value) > levels)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


def test_a_string_that_never_ends_is_read_once() -> None:
    body = b"[" * 300 + b'"' + b'\\"' * 1_000_000  # takes hours where each quote starts a search of its own

    assert nests_deeper(body, 64)
