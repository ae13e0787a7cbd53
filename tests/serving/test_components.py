from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from nemo_gym.config.instances import Instance
from nemo_gym.library.reasoning.reasoning.environment import Reasoning
from nemo_gym.models.call_limit import LimitedModel
from nemo_gym.models.chat import ChatModel
from nemo_gym.models.replicas import ReplicatedModel
from nemo_gym.models.responses import ResponsesModel
from nemo_gym.runs.plan import task_rows
from nemo_gym.serving.components import Components, model_of
from nemo_gym.serving.options import AppOptions
from nemo_gym.wire.errors import UsageError

ROW = {
    "responses_create_params": {"input": [{"role": "user", "content": "2+2?"}]},
    "options": [{"A": "3"}, {"B": "4"}],
    "expected_answer": "B",
}


def model(implementation: str, **settings: Any) -> Instance:
    return Instance("policy_model", "responses_api_models", implementation, settings, "app.py")


def agent(name: str, implementation: str = "simple_agent", **settings: Any) -> Instance:
    references = {
        "resources_server": {"type": "resources_servers", "name": "mcqa"},
        "model_server": {"type": "responses_api_models", "name": "policy_model"},
    }
    return Instance(name, "responses_api_agents", implementation, references | settings, "app.py")


def components(*instances: Instance) -> Components:
    environment = Instance("mcqa", "resources_servers", "mcqa", {}, "app.py")
    named = {one.name: one for one in (environment, *instances)}
    return Components(named, frozenset(named), AppOptions())


async def test_an_agent_acts_on_the_environment_and_model_of_its_own_process() -> None:
    made = components(model("oracle"), agent("mine", max_steps=None, skip_verification=False))
    with TestClient(await made.app("mine")) as client:
        assert client.post("/run", json=ROW).status_code == 200
    await made.aclose()


async def test_an_agent_that_skips_verification_gives_the_reward_of_its_settings() -> None:
    made = components(model("random"), agent("mine", skip_verification=True, skip_verification_reward=0.25))
    with TestClient(await made.app("mine")) as client:
        answer = client.post("/run", json=ROW).json()
    assert (answer["reward"], answer["verification_skipped"]) == (0.25, True)


async def test_an_agent_that_does_not_fit_the_environment_says_which_one_does() -> None:
    made = components(model("random"), agent("mine", "gymnasium_agent"))
    with pytest.raises(UsageError, match=r"can't play mcqa.*use tool_loop"):
        await made.app("mine")


async def test_each_agent_has_an_oracle_of_its_own_environment() -> None:
    other = Instance("other", "resources_servers", "reasoning", {}, "app.py")
    second = agent("second", resources_server={"type": "resources_servers", "name": "other"})
    made = components(model("oracle"), agent("mine"), other, second)
    task = next(task_rows(Reasoning(), None, split="test", limit=1))
    for name, row in (("mine", {**ROW, "expected_answer": "A"}), ("second", task)):
        with TestClient(await made.app(name)) as client:
            assert client.post("/run", json=row).json()["reward"] == 1.0
    await made.aclose()


async def test_an_oracle_needs_the_environment_of_its_agent() -> None:
    references = {"model_server": {"type": "responses_api_models", "name": "policy_model"}}
    alone = Instance("alone", "responses_api_agents", "simple_agent", references, "app.py")
    made = components(model("oracle"), alone)
    with pytest.raises(UsageError, match="alone: the oracle needs the agent's environment"):
        await made.app("alone")


async def test_an_oracle_at_its_own_address_answers_nobody() -> None:
    made = components(model("oracle"))
    with TestClient(await made.app("policy_model")) as client:
        answer = client.post("/v1/responses", json={"input": "2 + 2?"})
    assert (answer.status_code, "only the agents" in answer.text) == (400, True)


def test_the_original_names_of_a_models_settings_are_understood() -> None:
    made = model_of(
        model("openai_model", openai_base_url="http://h/v1", openai_api_key="k", openai_model="m")
    )
    assert isinstance(made, ResponsesModel)
    assert (made.endpoint.url, made.name) == ("http://h/v1", "m")
    made = model_of(
        model("inference_provider", base_url="http://h/v1", api_key="k", model="m", extra_body={"a": 1})
    )
    assert isinstance(made, LimitedModel)
    assert isinstance(made.inner, ChatModel)
    assert made.inner.reasoning == "tags"
    settings = {"return_token_id_information": True, "uses_reasoning_parser": True, "num_workers": 2}
    urls = ["http://a/v1", "http://b/v1"]
    made = model_of(model("vllm_model", base_url=urls, api_key="k", model="m", **settings))
    assert isinstance(made, ReplicatedModel)


def test_a_setting_that_no_model_of_the_type_has_is_refused() -> None:
    with pytest.raises(UsageError, match="extra_bodi"):
        model_of(model("chat", url="http://h/v1", name="m", extra_bodi={}))
