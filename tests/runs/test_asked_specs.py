"""Models that an environment asks, from settings to plain data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemo_gym.runs.asked_specs import asked_spec, with_asked
from nemo_gym.runs.component_specs import EnvironmentSpec, ModelSpec
from nemo_gym.wire.errors import UsageError

URL = "http://127.0.0.1:1/v1"
ESSAY = """
from nemo_gym import Environment

class Essay(Environment):
    asks = ("judge", "writer")

    class Config(Environment.Config):
        level: int = 1
"""


@pytest.fixture
def essay(tmp_path: Path) -> str:
    path = tmp_path / "essay.py"
    path.write_text(ESSAY)
    return str(path)


def test_a_url_means_chat_and_what_the_type_alone_has_is_kept() -> None:
    spec = asked_spec("judge", {"url": URL, "model": "m", "timeout": 3, "max_concurrent_requests": 8})
    assert spec == ModelSpec("chat", "m", URL, timeout=3, settings={"max_concurrent_requests": 8})


def test_the_names_of_the_original_are_understood() -> None:
    settings = {"type": "vllm_model", "base_url": URL, "model": "m", "api_key": "k"}
    spec = asked_spec("judge", settings)
    assert (spec.type, spec.name, spec.url, spec.api_key) == ("vllm", "m", URL, "k")


def test_the_key_of_a_variable_is_used_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "sk-judge")
    spec = asked_spec("judge", {"url": URL, "model": "m", "api_key_env": "JUDGE_KEY"})
    assert spec.api_key == "sk-judge"
    assert "sk-judge" not in str(spec.public())


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({}, "judge: where is the model? Set judge.url and judge.model, or judge.type."),
        ({"ulr": URL}, "Did you mean 'url'?"),
        ({"url": URL}, "judge: model type 'chat' needs judge.model"),
        ({"type": "responses", "model": "m"}, "judge: model type 'responses' needs judge.url"),
        ({"type": "chta", "url": URL}, "judge.type: no model type 'chta'. Did you mean 'chat'"),
        ({"url": URL, "api_key_env": "NO_SUCH"}, "the environment variable NO_SUCH is not set"),
    ],
)
def test_what_is_missing_or_wrong_is_one_line(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        asked_spec("judge", settings)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_of_an_environment_describe_its_models_and_flags_win(essay: str) -> None:
    settings = {"level": 2, "judge": {"url": URL, "model": "m", "timeout": 1}}
    spec = with_asked(EnvironmentSpec(essay, settings), {"judge": {"model": "other"}})
    assert spec.settings == {"level": 2}
    assert spec.models == {"judge": ModelSpec("chat", "other", URL, timeout=1)}
    assert spec.public(spec.build())["models"] == {"judge": {"type": "chat", "name": "other", "url": URL}}


def test_flags_change_a_model_that_is_there_already(essay: str) -> None:
    before = EnvironmentSpec(essay, models={"judge": ModelSpec("responses", "m", URL)})
    spec = with_asked(before, {"judge": {"api_key": "k"}})
    assert spec.models == {"judge": ModelSpec("responses", "m", URL, api_key="k")}


def test_a_model_of_another_name_is_refused(essay: str) -> None:
    with pytest.raises(UsageError, match=r"essay asks no model 'jugde'\. Did you mean 'judge'"):
        with_asked(EnvironmentSpec(essay), {"jugde": {"url": URL}})


def test_a_server_s_models_are_its_own() -> None:
    with pytest.raises(UsageError, match="the environment at the URL brings its own models"):
        with_asked(EnvironmentSpec(url="http://127.0.0.1:1"), {"judge": {"url": URL}})


def test_a_wrong_setting_says_which_model(essay: str) -> None:
    models = {"judge": asked_spec("judge", {"url": URL, "model": "m", "max_concurent_requests": 8})}
    with pytest.raises(UsageError, match=r"judge: .*Did you mean 'max_concurrent_requests'"):
        EnvironmentSpec(essay, models=models).resources()
