"""What is too large, too deep or too slow is refused with a clear 4xx (504 for time)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.testclient import TestClient

from nemo_gym.serving.answers import JsonResponse
from nemo_gym.serving.app import base_app
from nemo_gym.serving.bodies import read_object
from nemo_gym.serving.limits import Limits, nests_deeper
from nemo_gym.serving.openapi import described
from nemo_gym.serving.options import AppOptions


def client(**limits: Any) -> TestClient:
    """A server with one route that answers with the number of keys of its body."""
    options = AppOptions(limits=Limits(**limits))

    async def count(request: Request) -> JsonResponse:
        return JsonResponse(len(await read_object(request, options.limits)))

    async def hang(_: Request) -> JsonResponse:
        await asyncio.Event().wait()
        raise AssertionError

    return TestClient(
        base_app("Counter___c", [described("/count", count), described("/hang", hang)], options)
    )


def test_a_body_within_the_limits_is_read():
    assert client().post("/count", json={"a": 1, "b": [[{}]]}).json() == 2


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_that_is_too_large_gets_413_announced_or_not(announced):
    body = json.dumps({"text": "x" * 2000}).encode()
    content = body if announced else iter([body[:900], body[900:]])

    answer = client(body_bytes=1000).post("/count", content=content)

    assert answer.status_code == 413
    assert answer.json() == {"detail": "the request body is larger than 1000 bytes"}


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
