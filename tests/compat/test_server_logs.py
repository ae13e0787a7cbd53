"""What servers of existing code say in the log about requests that fail."""

from __future__ import annotations

import logging
from unittest.mock import AsyncMock, MagicMock

import pytest
from aiohttp import ClientResponseError
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient
from nemo_gym.base_resources_server import BaseResourcesServerConfig, BaseVerifyRequest, SimpleResourcesServer
from nemo_gym.server_utils import raise_for_status

from tests.compat.servers.sample import build


class Server(SimpleResourcesServer):
    config: BaseResourcesServerConfig

    async def verify(self, body: BaseVerifyRequest):
        raise NotImplementedError


class OwnForm(Server):
    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.add_exception_handler(RequestValidationError, lambda *_: PlainTextResponse("mine", 400))
        return app


def test_a_body_that_does_not_fit_is_logged_with_what_is_wrong(caplog: pytest.LogCaptureFixture) -> None:
    app = build(Server, BaseResourcesServerConfig).served_app()
    with caplog.at_level(logging.WARNING), TestClient(app) as client:
        answer = client.post("/verify", json={"responses_create_params": {"input": "from far away"}})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "response"]
    assert "Server___under_test POST /verify: 422" in caplog.text
    assert "from far away" in caplog.text


def test_a_handler_of_the_servers_own_stays(caplog: pytest.LogCaptureFixture) -> None:
    app = build(OwnForm, BaseResourcesServerConfig).served_app()
    with TestClient(app) as client:
        answer = client.post("/verify", json={})
    assert (answer.status_code, answer.text) == (400, "mine")
    assert not caplog.text


async def test_a_failed_call_is_logged_with_its_answer(caplog: pytest.LogCaptureFixture) -> None:
    problem = ClientResponseError(None, (), status=404)  # type: ignore[arg-type]
    answer = MagicMock(ok=False, url="http://judge/v1/responses")
    answer.content.read = AsyncMock(return_value=b"no such route")
    answer.raise_for_status.side_effect = problem
    with pytest.raises(ClientResponseError) as caught:
        await raise_for_status(answer)
    assert caught.value.response_content == b"no such route"  # type: ignore[attr-defined]
    assert "http://judge/v1/responses answered 404: b'no such route'" in caplog.text
