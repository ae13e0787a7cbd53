from __future__ import annotations

from pathlib import Path

import pytest

from nemo_gym.config.builtins import builtin_config
from nemo_gym.config.dummy_model import fold_placeholders
from nemo_gym.config.instances import DOMAINS
from nemo_gym.config.resolve import resolve
from nemo_gym.config.selectors import config_path
from nemo_gym.config.server_kinds import KINDS, ServerKind, builtin_names
from nemo_gym.environments.discovery import list_environments
from nemo_gym.runs.component_specs import ModelSpec

EVERY = [(kind, name) for kind in KINDS for name in builtin_names(kind)]
POLICY = {"policy_base_url": "http://h/v1", "policy_model_name": "m", "policy_api_key": "k"}


@pytest.mark.parametrize(("kind", "name"), EVERY, ids=lambda value: str(value))
def test_every_component_of_this_package_has_a_configuration_that_resolves(
    kind: ServerKind, name: str
) -> None:
    agent = f"++{name}.{kind}.{name}.resources_server.name=mcqa"
    changes = [agent] if kind == "responses_api_agents" else []
    if name == "local_vllm_model_proxy":
        shared = ["++shared.responses_api_models.vllm_model.entrypoint=app.py"]
        changes = [*shared, f"++policy_model_proxy.{kind}.{name}.model_server.name=shared"]
    needed = ["resources_servers/mcqa/configs/mcqa.yaml"] if kind == "responses_api_agents" else []
    paths = [*needed, f"{kind}/{name}/configs/{name}.yaml"]
    config = resolve(paths, changes, initial=POLICY, offline=True, use_env_file=False)
    assert [one.implementation for one in config.of(kind)].count(name) == len(needed) * (
        name == "simple_agent"
    ) + 1
    assert config.notices == ()


def test_every_built_in_environment_has_a_domain_that_passes() -> None:
    assert {info.domain for info in list_environments(roots=[])} <= set(DOMAINS)


@pytest.mark.parametrize(
    "path",
    [
        "resources_servers/nothing/configs/nothing.yaml",
        "resources_servers/mcqa/configs/other.yaml",
        "resources_servers/mcqa/mcqa.yaml",
        "library/knowledge/mcqa/configs/mcqa.yaml",
        "../resources_servers/mcqa/configs/mcqa.yaml",
        "mcqa.yaml",
        "",
    ],
)
def test_any_other_path_has_none(path: str) -> None:
    assert builtin_config(path) is None


def test_a_step_environment_is_played_by_the_agent_that_fits() -> None:
    config = resolve(["resources_servers/sokoban/configs/sokoban.yaml"], offline=True, use_env_file=False)
    assert list(config.instances) == ["sokoban", "sokoban_gymnasium_agent", "policy_model"]


def test_flavors_of_the_original_package_are_known() -> None:
    config = resolve(
        [
            "responses_api_models/vllm_model/configs/vllm_model_for_training.yaml",
            "resources_servers/mcqa/configs/mcqa.yaml",
        ],
        initial=POLICY,
        offline=True,
        use_env_file=False,
    )
    assert config.instances["policy_model"].settings["return_token_id_information"] is True
    together = builtin_config("responses_api_models/inference_provider/configs/together.yaml")
    assert together is not None
    assert together["policy_model"]["responses_api_models"]["inference_provider"]["base_url"].startswith(
        "https://"
    )


def test_an_environment_of_the_users_needs_no_configuration_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(
        "from nemo_gym import StepEnvironment\n\n\nclass Mine(StepEnvironment):\n    domain = 'games'\n"
    )
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").touch()
    monkeypatch.chdir(tmp_path)
    config = resolve(["resources_servers/mine/configs/mine.yaml"], offline=True)
    assert list(config.instances) == ["mine", "mine_gymnasium_agent", "policy_model"]
    assert config.instances["mine_gymnasium_agent"].datasets[0].jsonl_fpath.endswith("data/train.jsonl")


def test_a_placeholder_gives_way_to_the_real_model_and_leaves_what_it_lacks() -> None:
    models = {"dummy_model": {"x": 1, "y": 2}, "vllm_model": {"x": 3}}
    tree = {"policy_model": {"responses_api_models": models}}
    assert fold_placeholders(tree) == {
        "policy_model": {"responses_api_models": {"vllm_model": {"x": 3, "y": 2}}}
    }


def test_a_placeholder_alone_is_a_chat_model_at_the_policy_url_unless_that_is_empty() -> None:
    tree = {"policy_model": {"responses_api_models": {"dummy_model": {"entrypoint": "app.py"}}}, "other": 1}
    made = fold_placeholders(tree)["policy_model"]["responses_api_models"]
    assert list(made) == ["chat"]
    assert fold_placeholders({**tree, "policy_base_url": ""}) == {**tree, "policy_base_url": ""}


READY = [
    ("openai_model", "OpenAI/gpt-4.1-2025-04-14", "gpt-4_1-2025-04-14"),
    ("vllm_model", "vllm_model_completions", "policy_model"),
    ("inference_provider", "together", "policy_model"),
    ("local_vllm_model", "Qwen/Qwen3-30B-A3B-Instruct-2507", "Qwen3-30B-A3B-Instruct-2507"),
    ("local_vllm_model", "openai/gpt-oss-120b-reasoning-high", "gpt-oss-120b-reasoning-high"),
    ("genrm_model", "genrm_model", "genrm_model"),
]


@pytest.mark.parametrize(("name", "flavor", "instance"), READY, ids=lambda value: str(value))
def test_a_ready_configuration_of_a_model_can_be_used(name: str, flavor: str, instance: str) -> None:
    path = config_path("model_type", f"{name}/{flavor}", [])
    key = [f"++{instance}.responses_api_models.{name}.openai_api_key=k"] if "OpenAI/" in flavor else []
    (found,) = resolve([path], key, initial=POLICY, offline=True, use_env_file=False).of(
        "responses_api_models"
    )
    assert found.name == instance
    settings = {**found.settings, "base_url": found.settings.get("base_url", "http://h/v1")}
    if name == "openai_model":
        settings.pop("base_url")
    model = ModelSpec.of_instance(found.implementation, settings).build(None)
    assert model.name == settings.get("model", settings.get("openai_model"))
