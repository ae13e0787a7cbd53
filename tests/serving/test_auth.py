"""A server with a token answers nobody else."""

from __future__ import annotations

import httpx
import pytest
from loopback import served
from starlette.testclient import TestClient

from nemo_gym.agents.tool_loop import ToolLoop
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.serving.agent_app import agent_app
from nemo_gym.serving.environment_app import environment_app
from nemo_gym.serving.options import AppOptions
from nemo_gym.serving.secrets import Secret

OPTIONS = AppOptions(token=Secret("the-token"))
LINK = LocalEnvironment(find_environment("example_single_tool_call")())
APPS = {
    "environment": environment_app(LINK, "e", OPTIONS),
    "steps": environment_app(LocalEnvironment(find_environment("blackjack")()), "s", OPTIONS),
    "agent": agent_app(ToolLoop(), LINK, ScriptedModel(lambda _: "hi"), "a", OPTIONS),
}
ROUTES = [
    (name, method, getattr(route, "path", ""))
    for name, app in APPS.items()
    for route in app.routes
    for method in sorted(getattr(route, "methods", ()))
]


@pytest.mark.parametrize(("name", "method", "path"), [*ROUTES, ("agent", "GET", "/nowhere")])
def test_a_stranger_gets_401_on_every_route(name, method, path):
    answer = TestClient(APPS[name]).request(method, path, content=b"{}")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert not answer.cookies


@pytest.mark.parametrize(
    "header",
    [
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer the-token2"},
        {"authorization": "Basic the-token"},
        {"authorization": "Bearer "},
        {"x-api-key": ""},
        {"authorization": b"Bearer \xff\xfe"},
    ],
)
def test_a_wrong_token_is_no_token(header):
    assert TestClient(APPS["agent"]).get("/", headers=header).status_code == 401


@pytest.mark.parametrize(
    "header",
    [
        {"authorization": "Bearer the-token"},
        {"authorization": "bearer the-token"},
        {"x-api-key": "the-token"},
    ],
)
def test_the_token_lets_a_caller_in(header):
    assert TestClient(APPS["agent"]).get("/", headers=header).json() == {"status": "ok"}


async def test_a_stranger_at_another_address_gets_401_on_every_route_and_no_log_has_the_token(caplog):
    caplog.set_level("DEBUG")
    known = {"authorization": "Bearer the-token"}
    async with served(APPS["agent"], "127.0.0.2") as url, httpx.AsyncClient(base_url=url) as client:
        for name, method, path in ROUTES:
            if name == "agent":
                assert (await client.request(method, path)).status_code == 401
        assert (await client.post("/run", content=b"{", headers=known)).status_code == 422
        assert (await client.get("/", headers=known)).status_code == 200

    assert "the-token" not in caplog.text


def test_the_rollout_prefix_is_no_way_around_the_token():
    assert TestClient(APPS["agent"]).get("/ng-rollout/0-0/").status_code == 401
