from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from trees import trees

from nemo_gym.config.errors import (
    ConfigError,
    ConfigInterpolationError,
    ConfigMissingValuesError,
    NoServerInstancesError,
)
from nemo_gym.config.resolve import resolve
from nemo_gym.config.settings import WITHOUT_EFFECT
from nemo_gym.config.tree import to_yaml
from nemo_gym.wire.errors import GymError, UsageError

SERVER = "env: {resources_servers: {env: {entrypoint: app.py, domain: math, level: 1}}}\n"
MCQA = "resources_servers/mcqa/configs/mcqa.yaml"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "server.yaml").write_text(SERVER)
    return tmp_path


def test_what_comes_later_wins(folder: Path) -> None:
    (folder / "a.yaml").write_text("p1: file\np2: file\np3: file\np4: file\n")
    (folder / "env.yaml").write_text("p2: dotenv\np3: dotenv\np4: dotenv\n")
    config = resolve(["a.yaml"], ["p4=line"], initial={"p3": "code", "p4": "code"}, offline=True)
    assert [config.tree[f"p{n}"] for n in (1, 2, 3, 4)] == ["file", "dotenv", "code", "line"]


def test_the_nearest_list_of_files_is_read(folder: Path) -> None:
    for name in ("dotenv", "code", "line"):
        (folder / f"{name}.yaml").write_text(f"{name}: 1\n")
    (folder / "env.yaml").write_text("config_paths: [dotenv.yaml]\n")
    assert resolve(offline=True).tree["config_paths"] == ["dotenv.yaml"]
    code = {"config_paths": ["code.yaml"]}
    assert resolve(initial=code, offline=True).tree["config_paths"] == ["code.yaml"]
    both = resolve(["server.yaml"], ["+config_paths=[line.yaml]"], initial=code, offline=True)
    assert both.tree["config_paths"] == ["server.yaml", "line.yaml"]


def test_env_yaml_can_be_named_or_left_out(folder: Path) -> None:
    (folder / "env.yaml").write_text("x: 1\n")
    (folder / "other.yaml").write_text("x: 2\n")
    assert resolve(offline=True, env_file=folder / "other.yaml").tree["x"] == 2
    assert "x" not in resolve(offline=True, use_env_file=False).tree


def test_values_in_code_may_be_an_omegaconf_mapping(folder: Path) -> None:
    initial: Any = OmegaConf.create({"config_paths": ["server.yaml"], "x": "${y}", "y": 3})
    config = resolve(initial=initial, offline=True)
    assert config.tree["x"] == 3
    assert list(config.instances) == ["env"]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("env.resources_servers.env.levle=2", r"there is no such key\. Did you mean 'level'"),
        ("en.resources_servers.env.level=2", r"there is no such key\. Did you mean 'env'\?"),
        ("default_hots=x", r"there is no such key\. Did you mean 'default_host'\?"),
        ("head_server.prt=1", r"there is no such key\. Did you mean 'port'\?"),
        ("env.resource_servers.env.level=2", r"Did you mean 'resources_servers'\?"),
        ("env.resources_servers.zzz.level=2", r"\+env\.resources_servers\.zzz\.level=\.\.\. adds it"),
    ],
)
def test_a_change_to_an_unknown_key_is_refused_with_the_nearest(
    folder: Path, word: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve(["server.yaml"], [word], offline=True)


def test_a_plain_change_reaches_settings_inherited_and_declared_ones(folder: Path) -> None:
    (folder / "heir.yaml").write_text("heir: {_inherit_from: env}\n")
    heir = ["server.yaml", "heir.yaml"]
    config = resolve(heir, ["heir.resources_servers.env.level=5", "default_host=localhost"], offline=True)
    assert config.instances["heir"].settings == {"level": 5}
    assert config.instances["heir"].host == "localhost"
    built_in = resolve([MCQA], ["mcqa.resources_servers.mcqa.grading_mode=lenient_boxed"], offline=True)
    assert built_in.instances["mcqa"].settings == {"grading_mode": "lenient_boxed"}


def test_a_mistyped_key_that_is_added_is_told_of(folder: Path) -> None:
    config = resolve(["server.yaml"], ["+polcy_base_url=x", "+used=1", "+uses=${used}"], offline=True)
    assert config.notices == (
        "polcy_base_url: nothing reads this. Did you mean 'policy_base_url'?",
        "uses: nothing reads this.",
    )


def test_settings_without_effect_load_with_one_notice(folder: Path) -> None:
    words = ["wandb_project=rl", "upload_rollouts=true", "+wandb_name=null"]
    assert resolve(["server.yaml"], words, offline=True).notices == (
        "upload_rollouts, wandb_project: these settings have no effect here.",
    )
    (folder / "logged.yaml").write_text("component_name: mine\n")
    assert resolve(["server.yaml", "logged.yaml"], offline=True).notices == (
        "component_name: this setting has no effect here.",
    )


@pytest.mark.parametrize("name", sorted(WITHOUT_EFFECT))
def test_a_setting_without_effect_is_never_suggested(folder: Path, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(["server.yaml"], [f"{name}x=1"], offline=True)
    assert f"'{name}'" not in str(caught.value)


def test_a_setting_that_a_built_in_component_lacks_is_told_of_unless_it_is_the_users_own(
    folder: Path,
) -> None:
    word = "+mcqa.resources_servers.mcqa.grading_mod=x"
    (notice,) = resolve([MCQA], [word], offline=True).notices
    assert notice.startswith(
        "mcqa.grading_mod: the built-in mcqa has no such setting. Did you mean 'grading_mode'?"
    )
    own = folder / "resources_servers" / "mcqa"
    own.mkdir(parents=True)
    (own / "app.py").touch()
    assert resolve([MCQA], [word], offline=True).notices == ()


def test_values_to_be_given_are_reported_after_the_directives(folder: Path) -> None:
    (folder / "m.yaml").write_text("a: ???\nb: {_copy: a}\nc: ${a}\n")
    with pytest.raises(
        ConfigMissingValuesError, match=r"2 values must be given[^$]*\+\+a=<value>[^$]*\+\+b=<value>"
    ):
        resolve(["m.yaml"], offline=True)
    assert resolve(["m.yaml"], ["a=1"], offline=True).tree["c"] == 1


def test_online_the_policy_model_needs_its_values_all_named_at_once() -> None:
    with pytest.raises(ConfigInterpolationError) as raised:
        resolve([MCQA], use_env_file=False)
    assert {"model_url", "model"} <= {*raised.value.settings}
    given = {"policy_base_url": "http://h/v1", "policy_model_name": "m"}
    model = resolve([MCQA], initial=given, use_env_file=False).instances["policy_model"]
    assert (model.implementation, model.settings) == (
        "chat",
        {"url": "http://h/v1", "api_key": "", "name": "m"},
    )


def test_what_every_server_may_read_is_filled_in(folder: Path) -> None:
    config = resolve([MCQA], ["+skip_verification=true", "+results_dir=out"], offline=True)
    assert config.tree["results_dir"] == str(folder / "out")
    assert config.tree["cache_dir"] == str(folder / "cache")
    assert config.instances["mcqa_simple_agent"].settings["skip_verification"] is True
    assert "skip_verification" not in config.instances["mcqa"].settings


def test_a_file_named_twice_is_told_of(folder: Path) -> None:
    (notice,) = resolve(["server.yaml", "server.yaml"], offline=True).notices
    assert "server.yaml is named twice" in notice
    assert "_copy" in notice


def test_nothing_to_start_is_an_error_only_for_who_wants_to_start(folder: Path) -> None:
    config = resolve(offline=True)
    with pytest.raises(NoServerInstancesError, match="nothing to start"):
        config.require_instances()
    resolve(["server.yaml"], offline=True).require_instances()


def test_a_resolved_configuration_resolves_to_itself(folder: Path) -> None:
    first = resolve([MCQA], ["+policy_base_url=http://h/v1", "+policy_model_name=m", "+x=[1, {a: null}]"])
    again = resolve(initial={**first.tree, "config_paths": []}, use_env_file=False)
    assert {**again.tree, "config_paths": first.tree["config_paths"]} == first.tree
    assert again.instances == first.instances


def test_shown_it_has_no_secret(folder: Path) -> None:
    config = resolve([MCQA], ["+policy_api_key=sk-verysecret", "+policy_base_url=u", "+policy_model_name=m"])
    assert config.instances["policy_model"].settings["api_key"] == "sk-verysecret"
    assert "sk-verysecret" not in to_yaml(config.without_secrets())


STRANGE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-9, 70000),
    st.sampled_from(
        [
            "???", "${a}", "${copy:b}", "${inherit_from:c.a}", "${oc.env:X}", "app.py", "math", "a, b",
            "mcqa", "${x", "resources_servers", "${oc.select:a,1}", "tool_loop", "a.yaml",
        ]
    ),
)  # fmt: skip
STRANGE_KEYS = st.sampled_from(
    [
        "a", "b", "c", "resources_servers", "responses_api_agents", "responses_api_models", "entrypoint",
        "domain", "datasets", "host", "port", "type", "name", "_copy", "_inherit_from", "_delete_key",
        "config_paths",
        "head_server", "disallowed_ports", "port_range_low", "environment", "agent", "model", "dummy_model",
        "policy_model", "default_host", "results_dir", "error_on_almost_servers",
    ]
)  # fmt: skip
STRANGE_TREES = st.dictionaries(
    STRANGE_KEYS,
    st.recursive(
        STRANGE,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(STRANGE_KEYS, inner, max_size=3),
        max_leaves=12,
    ),
    max_size=5,
)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=300)
@given(STRANGE_TREES)
def test_any_tree_resolves_or_is_refused_with_a_message(tree: dict[str, Any]) -> None:
    with suppress(ConfigError, UsageError):
        config = resolve(initial=tree, offline=True, use_env_file=False)
        assert config.without_secrets().keys() == config.tree.keys()


@given(trees())
def test_values_of_no_meaning_pass_as_they_are(tree: dict[str, Any]) -> None:
    config = resolve(initial={"data": tree}, offline=True, use_env_file=False)
    assert config.tree["data"] == tree
    assert config.instances == {}


def test_all_errors_are_of_one_family_with_exit_code_1() -> None:
    assert issubclass(ConfigError, GymError)
    assert ConfigError.exit_code == 1
