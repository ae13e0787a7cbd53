"""When an existing agent's model calls carry the rollout that they belong to, and which session's tools."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from pydantic import ConfigDict

from nemo_gym.compat.base_responses_api_agent import (
    BaseResponsesAPIAgentConfig,
    BaseRunRequest,
    SimpleResponsesAPIAgent,
)
from nemo_gym.compat.config_types import BaseServerConfig
from nemo_gym.compat.server_utils import DictConfig, ServerClient

IDENTITY = {"_ng_task_index": 3, "_ng_rollout_index": 1}
PARAMS = {"input": "q"}
CAPTURED = {"observability_enabled": True}
TOKENS = {"token_id_capture": {"enabled": True, "all_agents": True}}
OWN_TOKENS = {"token_id_capture": {"enabled": True}}


class RunRequest(BaseRunRequest):
    model_config = ConfigDict(extra="allow")


class Agent(SimpleResponsesAPIAgent):
    async def responses(self, request: Request, body: dict[str, Any]) -> Any:
        rollout = request.path_params.get("rollout_id")
        return {"rollout": rollout, "path": self.url_path_for_request("/v1/responses", request)}

    async def run(self, request: Request, body: RunRequest) -> Any:
        return {
            "rollout": self.rollout_id_from_run(body),
            "path": self.url_path_for_run("/v1/responses", body),
        }


def agent(config: dict[str, Any], **own: Any) -> Agent:
    policy = {"responses_api_models": {"m": {"entrypoint": "app.py", "host": "h", "port": 1}}}
    client = ServerClient(
        head_server_config=BaseServerConfig(host="127.0.0.1", port=1),
        global_config_dict=DictConfig({"policy": policy, **config}),
    )
    given = {"entrypoint": "app.py", "host": "127.0.0.1", "port": 1, "name": "agent", **own}
    return Agent(config=BaseResponsesAPIAgentConfig.model_validate(given), server_client=client)


@pytest.mark.parametrize(
    ("config", "own", "calls", "tokens"),
    [
        ({}, {}, False, False),
        ({}, {"token_id_capture": True}, False, False),
        (CAPTURED, {}, True, False),
        ({"observability_enabled": False, "token_id_capture": {}}, {}, False, False),
        (TOKENS, {}, False, True),
        (OWN_TOKENS, {}, False, False),
        (OWN_TOKENS, {"token_id_capture": True}, False, True),
        ({"token_id_capture": {"enabled": False, "all_agents": True}}, {}, False, False),
        (CAPTURED | TOKENS, {}, True, True),
    ],
)
def test_paths_name_the_rollout_only_when_something_is_captured(
    config: dict[str, Any], own: dict[str, Any], calls: bool, tokens: bool
) -> None:
    served = agent(config, **own)
    assert served._model_call_capture_enabled() is calls
    assert served._token_id_capture_enabled() is tokens
    captured = calls or tokens
    prefix = ("/ng-rollout/3-1" + ("/training-token-capture" if tokens else "")) if captured else ""
    row = {"responses_create_params": PARAMS, **IDENTITY}
    answer = TestClient(served.setup_webserver()).post("/run", json=row).json()
    assert answer == {"rollout": "3-1" if captured else None, "path": f"{prefix}/v1/responses"}
    assert served.base_url_for_run("http://m", RunRequest.model_validate(row)) == f"http://m{prefix}"
    rollout = "3-1" if captured else None
    assert served.resolve_model_base_url("policy", rollout) == f"http://h:1{prefix}/v1"


@pytest.mark.parametrize("prefix", ["/ng-rollout/4-2", "/ng-rollout/4-2/training-token-capture"])
def test_a_handler_finds_the_rollout_among_its_path_parameters(prefix: str) -> None:
    client = TestClient(agent(CAPTURED).setup_webserver())
    answer = client.post(f"{prefix}/v1/responses", json=PARAMS).json()
    assert answer == {"rollout": "4-2", "path": f"{prefix}/v1/responses"}
    answer = client.post("/v1/responses", json=PARAMS).json()
    assert answer == {"rollout": None, "path": "/v1/responses"}


@pytest.mark.parametrize(
    ("request_", "path"),
    [
        (SimpleNamespace(path_params={"rollout_id": "5-0"}), "/ng-rollout/5-0/x"),
        (
            SimpleNamespace(
                path_params={"rollout_id": "5-0"},
                url=SimpleNamespace(path="/ng-rollout/5-0/training-token-capture/v1/responses"),
            ),
            "/ng-rollout/5-0/training-token-capture/x",
        ),
        (SimpleNamespace(path_params={}), "/x"),
        (MagicMock(), "/x"),
        (None, "/x"),
    ],
)
def test_a_request_that_a_test_made_names_its_rollout(request_: Any, path: str) -> None:
    assert agent(CAPTURED).url_path_for_request("/x", request_) == path


def test_an_agent_with_a_mock_for_its_client_captures_nothing() -> None:
    config = BaseResponsesAPIAgentConfig(entrypoint="a", host="h", port=1, name="n", token_id_capture=True)
    served = Agent(config=config, server_client=MagicMock(spec=ServerClient))
    assert not served._capture_correlation_enabled()
    body = RunRequest.model_validate({"responses_create_params": PARAMS, **IDENTITY})
    assert served.url_path_for_run("/v1/responses", body) == "/v1/responses"
