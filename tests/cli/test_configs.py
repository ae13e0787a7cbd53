"""`gym env resolve` and `gym env validate`: offline, one clear message, exit codes 0, 1 and 2."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

Gym = Callable[..., "subprocess.CompletedProcess[str]"]

WEATHER = """
weather:
  resources_servers:
    weather: {entrypoint: app.py, domain: agent, judge_api_key: sk-judge-key}
weather_agent:
  responses_api_agents:
    simple_agent:
      entrypoint: app.py
      resources_server: {type: resources_servers, name: weather}
      model_server: {type: responses_api_models, name: policy_model}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's project: one server with code and a configuration file."""
    server = tmp_path / "resources_servers" / "weather"
    (server / "configs").mkdir(parents=True)
    (server / "app.py").touch()
    (server / "configs" / "weather.yaml").write_text(WEATHER)
    return tmp_path


def test_a_configuration_is_printed_whole_and_without_secrets(gym: Gym, folder: Path) -> None:
    flags = ["--model-url", "http://me:pw@host/v1", "-m", "m", "--model-api-key", "sk-123456789"]
    result = gym(
        "env", "resolve", "--resources-server", "weather", "--model-type", "vllm_model", *flags, cwd=folder
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    tree = yaml.safe_load(result.stdout)
    assert tree["weather"]["resources_servers"]["weather"]["judge_api_key"] == "****"
    model = tree["policy_model"]["responses_api_models"]["vllm_model"]
    assert model["base_url"] == "http://****@host/v1"
    assert (model["api_key"], model["model"], model["port"]) == ("****", "m", -1)


def test_what_is_printed_can_be_given_back(gym: Gym, folder: Path) -> None:
    first = gym("env", "resolve", "mcqa", "--model-type", "random", cwd=folder)
    (folder / "all.yaml").write_text(first.stdout)
    again = gym("env", "resolve", "--config", "all.yaml", cwd=folder)
    assert {**yaml.safe_load(again.stdout), "config_paths": 0} == {
        **yaml.safe_load(first.stdout),
        "config_paths": 0,
    }


def test_json_is_all_that_standard_output_has(gym: Gym, folder: Path) -> None:
    result = gym("env", "resolve", "mcqa", "+polcy_api_key=x", "--json", cwd=folder)
    assert json.loads(result.stdout)["polcy_api_key"] == "****"
    assert "polcy_api_key: nothing reads this. Did you mean 'policy_api_key'" in result.stderr


def test_a_flat_file_means_the_same(gym: Gym, folder: Path) -> None:
    (folder / "flat.yaml").write_text("environment: mcqa\nagent: simple_agent\nmodel: random\n")
    flat = gym("env", "resolve", "--config", "flat.yaml", "--json", cwd=folder)
    named = gym("env", "resolve", "mcqa", "--model-type", "random", "--json", cwd=folder)
    assert flat.returncode == named.returncode == 0
    parts = [json.loads(result.stdout) for result in (flat, named)]
    assert parts[0]["mcqa"] == parts[1]["mcqa"]
    assert parts[0]["policy_model"] == parts[1]["policy_model"]


def test_a_valid_configuration_says_what_is_in_it(gym: Gym, folder: Path) -> None:
    words = ["env", "validate", "--environment", "weather", "--model-type", "vllm_model"]
    result = gym(*words, cwd=folder)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "valid"
    report = json.loads(gym(*words, "--json", cwd=folder).stdout)
    assert report["valid"] is True
    assert [(one["name"], one["implementation"]) for one in report["instances"]] == [
        ("weather", "weather"),
        ("weather_agent", "simple_agent"),
        ("policy_model", "vllm_model"),
    ]
    assert report["instances"][1]["uses"] == {"resources_server": "weather", "model_server": "policy_model"}


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--config", "none.yaml"], 1, "no configuration file 'none.yaml'. Looked for"),
        (["--resources-server", "weather"], 1, "model_server refers to 'policy_model', which is not defined"),
        (["mcqa", "mcqa.resources_servers.mcqa.grading_mode=no"], 1, "mcqa: Invalid enum value 'no'"),
        (["mcqa", "mcqa.resources_servers.mcqa.grading_mod=x"], 1, "Did you mean 'grading_mode'?"),
        (["--environment", "wether"], 2, "Did you mean 'weather'?"),
        (["mcqa", "x='"], 2, "x: ' is not closed"),
        ([], 1, "nothing to start"),
        (["examples.py"], 1, "resources_servers has no 'examples'"),
    ],
)
def test_a_mistake_is_one_message_and_the_right_exit_code(
    gym: Gym, folder: Path, words: list[str], code: int, message: str
) -> None:
    result = gym("env", "validate", *words, cwd=folder)
    assert result.returncode == code
    assert result.stdout == ""
    assert result.stderr.startswith("gym: ")
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    report = gym("env", "validate", *words, "--json", cwd=folder)
    assert report.returncode == code
    assert message in json.loads(report.stdout)["message"]
    assert json.loads(report.stdout)["valid"] is False


def test_a_broken_file_is_named_with_line_and_column(gym: Gym, folder: Path) -> None:
    (folder / "bad.yaml").write_text("a: 1\nb: [1\nc: 2\n")
    result = gym("env", "validate", "--config", "bad.yaml", cwd=folder)
    assert result.returncode == 1
    assert "bad.yaml:3:2: " in result.stderr


def test_an_extra_folder_is_searched_first(
    gym: Gym, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    words = [
        "env",
        "validate",
        "--environment",
        "weather",
        "--model-type",
        "random",
        "--search-dir",
        str(folder),
    ]
    assert gym(*words, cwd=elsewhere).returncode == 0


def test_help_does_not_load_the_configuration_library() -> None:
    code = "import sys, nemo_gym.cli.main; sys.exit('omegaconf' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
