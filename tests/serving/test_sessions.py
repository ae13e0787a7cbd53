"""The session cookie: signed, on every answer, one per server."""

from __future__ import annotations

from base64 import b64encode

import pytest
from itsdangerous import TimestampSigner
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.testclient import TestClient

from nemo_gym.serving.answers import JsonResponse
from nemo_gym.serving.app import base_app
from nemo_gym.serving.openapi import ApiRoute
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.sessions import SESSION_ID_KEY, cookie_name

OPTIONS = AppOptions()
LABEL = "Weather___rome"


async def who(request: Request) -> JsonResponse:
    return JsonResponse(request.session[SESSION_ID_KEY])


async def refuse(_: Request) -> JsonResponse:
    raise HTTPException(418, "a teapot")


async def crash(_: Request) -> JsonResponse:
    raise LookupError("nothing here")


async def note(request: Request) -> JsonResponse:
    request.session["noted"] = request.session.get("noted", 0) + 1
    return JsonResponse(request.session["noted"])


ROUTES = [ApiRoute(f"/{handler.__name__}", handler) for handler in (who, refuse, crash, note)]


def client(label: str = LABEL, options: AppOptions = OPTIONS) -> TestClient:
    return TestClient(base_app(label, ROUTES, options))


def test_the_session_lasts_as_long_as_the_cookie_is_sent_back():
    first, second = client(), client()

    assert first.post("/who").json() == first.post("/who").json() != second.post("/who").json()


@pytest.mark.parametrize("path", ["/who", "/refuse", "/crash", "/nowhere", "/"])
def test_every_answer_carries_the_cookie_errors_too(path):
    answer = client().post(path)

    assert LABEL in answer.cookies
    assert "httponly" in answer.headers["set-cookie"]


def test_what_a_handler_puts_into_the_session_comes_back():
    caller = client()

    assert [caller.post("/note").json() for _ in range(3)] == [1, 2, 3]


def test_a_cookie_that_was_changed_is_a_new_session():
    caller = client()
    before = caller.post("/who").json()
    value = caller.cookies[LABEL]
    caller.cookies.clear()
    caller.cookies.set(LABEL, value[:-2])

    assert caller.post("/who").json() != before


@pytest.mark.parametrize("content", [b"not json", b"[]", b"{}", b"\xff"])
def test_a_signed_cookie_that_holds_something_else_is_a_new_session(content):
    signer = TimestampSigner(OPTIONS.cookie_secret.reveal(), salt=LABEL)
    caller = client()
    caller.cookies.set(LABEL, signer.sign(b64encode(content)).decode())

    assert caller.post("/who").status_code == 200


def test_an_endless_cookie_is_a_new_session():
    assert client().post("/who", headers={"cookie": f"{LABEL}={'x' * 20_000}"}).status_code == 200


def test_servers_of_one_host_neither_take_nor_accept_each_others_cookies():
    rome, oslo = client("Weather___rome"), client("Weather___oslo")
    rome.post("/who")
    mine = oslo.post("/who").json()
    oslo.cookies.update(rome.cookies)

    assert oslo.post("/who").json() == mine
    stolen = rome.cookies["Weather___rome"]
    oslo.cookies.clear()
    oslo.cookies.set("Weather___oslo", stolen)
    assert oslo.post("/who").json() != rome.post("/who").json()


def test_another_run_has_another_secret():
    caller = client()
    before = caller.post("/who").json()
    restarted = client(options=AppOptions())
    restarted.cookies.update(caller.cookies)

    assert restarted.post("/who").json() != before


def test_a_name_that_no_cookie_can_have_is_quoted():
    assert cookie_name("Weather___my rome;1") == "Weather___my%20rome%3B1"
    assert client("Weather___my rome;1").post("/who").status_code == 200
