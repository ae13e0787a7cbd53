"""An agent that is served beside its model: every call is recorded once, under the rollout of its row."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.testclient import TestClient

from nemo_gym.agents.tool_loop import ToolLoop
from nemo_gym.capture.stores import MemoryCapture
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.serving.agent_app import agent_app
from nemo_gym.serving.options import AppOptions
from nemo_gym.wire.items import function_call
from nemo_gym.wire.params import RequestParams
from tests.support.token_model import TokenModel

ROW = {
    "responses_create_params": {"input": [{"role": "user", "content": "Bring the counter to 5."}]},
    "initial_count": 3,
    "expected_count": 5,
}
IDENTITY = {"_ng_task_index": 4, "_ng_rollout_index": 1}


def policy(params: RequestParams) -> Any:
    """Adds two, then says that it is done."""
    made = [item for item in params["input"] if item["type"] == "function_call_output"]  # type: ignore[index]
    return "Done." if made else [function_call("increment_counter", '{"count": 2}', call_id="c1")]


def serve(options: AppOptions, **more: Any) -> TestClient:
    link = LocalEnvironment(find_environment("example_session_state_mgmt")())
    return TestClient(agent_app(ToolLoop(), link, TokenModel(policy), "a", options, **more))


def recorded(store: MemoryCapture, rollout_id: str) -> int:
    return len(asyncio.run(store.read(rollout_id)).calls)


@pytest.mark.parametrize(
    ("identity", "rollout_id"),
    [(IDENTITY, "4-1"), ({**IDENTITY, "_ng_attempt_index": 2}, "4-1-a2"), ({"_ng_rollout_id": "x"}, "x")],
)
def test_the_calls_of_a_row_are_kept_under_its_id(identity: dict[str, Any], rollout_id: str) -> None:
    store = MemoryCapture()
    assert serve(AppOptions(capture=store)).post("/run", json={**ROW, **identity}).json()["reward"] == 1.0
    assert recorded(store, rollout_id) == 2


def test_a_row_without_an_identity_is_run_and_not_recorded() -> None:
    store = MemoryCapture()
    assert serve(AppOptions(capture=store)).post("/run", json=ROW).json()["reward"] == 1.0
    assert recorded(store, "0-0") == 0


def test_a_path_may_name_the_rollout() -> None:
    calls, tokens = MemoryCapture(), MemoryCapture()
    client = serve(AppOptions(capture=calls, tokens=tokens))
    for prefix in ("/ng-rollout/a", "/ng-rollout/b/training-token-capture"):
        client.post(f"{prefix}/run", json={**ROW, **IDENTITY})
    assert [recorded(calls, name) for name in "ab"] == [2, 2]
    assert [recorded(tokens, name) for name in "ab"] == [0, 2]


@pytest.mark.parametrize(
    ("options", "more", "kept"),
    [({}, {}, 0), ({}, {"token_capture": True}, 2), ({"tokens_of_all": True}, {}, 2)],
)
def test_tokens_are_captured_for_agents_that_ask_for_it_or_for_all(
    options: dict[str, Any], more: dict[str, Any], kept: int
) -> None:
    tokens = MemoryCapture()
    serve(AppOptions(tokens=tokens, **options), **more).post("/run", json={**ROW, **IDENTITY})
    assert recorded(tokens, "4-1") == kept


def test_an_id_that_can_not_be_part_of_a_path_is_the_row_s_mistake() -> None:
    client = serve(AppOptions(capture=MemoryCapture()))
    answer = client.post("/run", json={**ROW, "_ng_rollout_id": "../x"})
    assert answer.status_code == 422
    assert "rollout id '../x'" in answer.json()["detail"][0]["msg"]
