"""Errors have the forms that existing clients read."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from nemo_gym.serving.answers import JsonResponse
from nemo_gym.serving.app import base_app
from nemo_gym.serving.errors import InvalidBody
from nemo_gym.serving.openapi import ApiRoute
from nemo_gym.serving.options import AppOptions
from nemo_gym.wire.errors import ModelError, TaskUnfit, UsageError
from nemo_gym.wire.masking import remember_secrets


def answer_to(error: BaseException) -> tuple[int, object]:
    async def handler(_: Request) -> JsonResponse:
        raise error

    app = base_app("Judge___j", [ApiRoute("/do", handler)], AppOptions())
    answer = TestClient(app).post("/do")
    return answer.status_code, answer.json()


def test_an_exception_is_500_with_its_repr_as_a_json_string():
    assert answer_to(KeyError("x")) == (500, "KeyError('x')")


def test_a_failed_call_to_another_server_names_this_one_and_embeds_what_that_one_said():
    status, body = answer_to(ModelError("no luck", http_status=503, body='{"error": "busy"}'))

    assert status == 500
    assert body == '<Judge___j> called another server, which failed: {"error": "busy"}'


@pytest.mark.parametrize(
    "error", [KeyError("hunter2hunter2"), ModelError("no", http_status=503, body="wrong key hunter2hunter2")]
)
def test_a_secret_is_in_no_answer(error):
    remember_secrets(["hunter2hunter2"])

    status, body = answer_to(error)

    assert (status, "****" in str(body), "hunter2" in str(body)) == (500, True, False)


@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError()])
def test_what_is_not_an_exception_is_500_with_fixed_words(error):
    assert answer_to(error) == (500, "the handler ended with something that is not an Exception")


def test_a_task_that_does_not_fit_is_the_callers_mistake():
    status, body = answer_to(TaskUnfit("seed says no"))

    assert status == 422
    assert body == {
        "detail": [{"type": "value_error", "loc": ["body"], "msg": "seed says no", "input": None}]
    }


def test_an_unknown_route_and_a_wrong_method_say_so_in_json():
    caller = TestClient(base_app("Judge___j", [], AppOptions()))

    assert caller.post("/nowhere").json() == {"detail": "Not Found"}
    assert caller.post("/").status_code == 405
    assert caller.post("/").json() == {"detail": "Method Not Allowed"}


class _Row(msgspec.Struct):
    answer: str
    options: list[dict[str, str]] = []


@pytest.mark.parametrize(
    ("row", "loc", "kind"),
    [
        ({}, ["body", "answer"], "missing"),
        ({"answer": 3}, ["body", "answer"], "value_error"),
        ({"answer": "", "options": [{}, 3]}, ["body", "options", 1], "value_error"),
    ],
)
def test_a_validation_error_becomes_the_place_in_the_body(row, loc, kind):
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(row, _Row)

    (problem,) = InvalidBody.of(caught.value).problems
    assert (problem["loc"], problem["type"]) == (loc, kind)


def test_a_message_that_names_a_place_becomes_that_place():
    (problem,) = InvalidBody.of(UsageError("input[2].call_id: a string is missing"), "params").problems

    assert problem["loc"] == ["body", "params", "input", 2, "call_id"]
    assert problem["msg"] == "a string is missing"
