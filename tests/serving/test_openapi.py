"""The description is true, and no request that it allows or forbids leads to a 5xx."""

from __future__ import annotations

import json

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.testclient import TestClient

from nemo_gym.agents.registry import find_agent
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.serving.agent_app import agent_app
from nemo_gym.serving.environment_app import environment_app
from nemo_gym.serving.model_app import model_app
from nemo_gym.serving.options import AppOptions

ENVIRONMENTS = [
    "blackjack", "example_mcp_weather", "example_multi_step", "example_session_state_mgmt",
    "example_single_tool_call", "example_tool_call_multireward", "math_with_judge", "mcqa", "reasoning",
    "sokoban", "string_match",
]  # fmt: skip


def environment(name: str) -> Starlette:
    return environment_app(LocalEnvironment(find_environment(name)()), name, AppOptions())


def agent(name: str) -> Starlette:
    link = LocalEnvironment(find_environment(name)())
    kind = find_agent("step_loop" if link.steps else "tool_loop")
    return agent_app(kind(), link, ScriptedModel(lambda _: "hello"), name, AppOptions())


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_no_request_to_an_environment_leads_to_a_5xx(name):
    attack(environment(name))


@pytest.mark.parametrize("name", ["mcqa", "blackjack"])
def test_no_request_to_an_agent_leads_to_a_5xx(name):
    attack(agent(name))


def test_no_request_to_a_model_leads_to_a_5xx():
    attack(model_app(ScriptedModel(lambda _: "hello"), name="policy_model", options=AppOptions()))


def test_no_tool_call_in_an_open_session_leads_to_a_5xx():
    app = environment("workplace_assistant")
    row = next(iter(find_environment("workplace_assistant")().tasks("example", 0, 1)))
    cookies = TestClient(app).post("/seed_session", json=row).cookies

    attack(app, cookies=dict(cookies), only="calendar_")


def test_the_document_says_what_the_tools_take_and_where_the_schemas_are():
    document = TestClient(environment("workplace_assistant")).get("/openapi.json").json()

    body = document["paths"]["/email_send_email"]["post"]["requestBody"]["content"]["application/json"]
    assert "recipient" in body["schema"]["properties"]
    assert document["info"]["x-nemo-gym"] == {
        "kind": "environment", "name": "workplace_assistant", "steps": False,
        "rewards": {"low": 0.0, "high": 1.0, "solved_at": 1.0, "declared": False},
    }  # fmt: skip
    text = json.dumps(document)
    assert "$defs" not in text
    assert "seed_session.Task" in document["components"]["schemas"]


def attack(app: Starlette, *, cookies: dict[str, str] | None = None, only: str = "") -> None:
    """Send what the document allows, and what it forbids, to every route."""
    document = schemathesis.openapi.from_asgi("/openapi.json", app)
    for found in document.get_all_operations():
        operation = found.ok()
        if only not in operation.path:
            continue
        requests = operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE)
        if operation.body:
            requests |= operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)
        check(requests, cookies)


def check(requests: st.SearchStrategy[schemathesis.Case], cookies: dict[str, str] | None) -> None:
    @settings(max_examples=12, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(requests)
    def no_5xx(case: schemathesis.Case) -> None:
        answer = case.call(cookies=cookies)
        assert answer.status_code < 500, (case.path, case.body, answer.text)

    no_5xx()
