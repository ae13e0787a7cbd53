"""What `gym env init` writes is valid, tested and served at once; what is broken afterwards is named."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import read_rows

from nemo_gym.cli.main import main

Gym = Callable[..., "subprocess.CompletedProcess[str]"]

PROFILES = ("custom-gym-verifier", "custom-gym-agent-loop", "external-agent-loop", "external-rollout-driver")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, gym: Gym) -> Path:
    """A folder with a new environment and a new benchmark."""
    folder = tmp_path_factory.mktemp("workloads")
    for words in (["--environment", "adding"], ["--benchmark", "sums"]):
        result = gym("env", "init", *words, cwd=folder)
        assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def folder(workspace: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(workspace, tmp_path / "copy"))


def printed(result: subprocess.CompletedProcess[str]) -> Any:
    """Its JSON."""
    return json.loads(result.stdout)


def pytest_in(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "tests"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("profile", PROFILES)
def test_an_environment_of_each_profile_is_valid_and_its_verifier_right(
    gym: Gym, tmp_path: Path, profile: str
) -> None:
    init = gym("env", "init", "--environment", "w", "--profile", profile, cwd=tmp_path)
    assert init.returncode == 0, init.stderr
    report = printed(gym("env", "validate", "w", "--json", cwd=tmp_path))
    assert (report["valid"], report["profile"], report["problems"]) == (True, profile, [])
    tested = printed(gym("env", "test", "w", "--json", cwd=tmp_path))
    assert tested["passed"]
    assert len(tested["cases"]) == 9
    if profile == "custom-gym-agent-loop":
        result = pytest_in(tmp_path / "responses_api_agents" / "w_agent")
        assert result.returncode == 0, result.stdout


def test_a_new_server_has_tests_that_pass_and_the_examples_that_are_asked_for(
    gym: Gym, workspace: Path
) -> None:
    words = ["env", "test", "--resources-server", "adding", "++should_validate_data=true", "--json"]
    result = gym(*words, cwd=workspace)
    (server,) = printed(result)["servers"]
    assert (result.returncode, server["passed"], server["data_problems"]) == (0, True, [])
    assert gym("env", "validate", "--resources-server", "adding", cwd=workspace).returncode == 0


def test_rewards_are_as_asked_for(gym: Gym, tmp_path: Path) -> None:
    words = ["--reward-range", "-1", "2", "--lower-is-better"]
    assert gym("env", "init", "--environment", "golf", *words, cwd=tmp_path).returncode == 0
    manifest = yaml.safe_load((tmp_path / "environments" / "golf" / "manifest.yaml").read_text())
    assert manifest["reward"] == {"range": [-1.0, 2.0], "higher_is_better": False}
    cases = printed(gym("env", "test", "golf", "--json", cwd=tmp_path))["cases"]
    assert {case["name"]: case["reward"] for case in cases}["the number alone"] == -1.0


@pytest.mark.parametrize("verifier", ["mcqa", "blackjack", "adding"])
def test_a_verifier_is_used_again_with_rows_and_answers_for_it(gym: Gym, folder: Path, verifier: str) -> None:
    result = gym("env", "init", "--benchmark", "again", "--reuse-verifier", verifier, cwd=folder)
    assert result.returncode == 0, result.stderr
    assert not (folder / "resources_servers" / "again").exists()
    assert gym("env", "validate", "again", cwd=folder).returncode == 0
    assert gym("env", "test", "again", cwd=folder).returncode == 0


def test_a_workload_may_be_named_as_the_verifier_that_it_uses(gym: Gym, folder: Path) -> None:
    result = gym("env", "init", "--benchmark", "adding", "--reuse-verifier", "adding", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert (folder / "benchmarks" / "adding" / "manifest.yaml").exists()


def test_a_new_environment_is_served_and_rollouts_are_collected_over_it(gym: Gym, workspace: Path) -> None:
    out = workspace / "out.jsonl"
    words = ["--environment", "adding", "--model-type", "random", "--split", "example", "-o", out]
    result = gym("eval", "run", *words, cwd=workspace)
    assert result.returncode == 0, result.stderr
    assert len(read_rows(out)) == 5


def test_a_manifest_that_differs_is_told_and_brought_up_to_date(gym: Gym, folder: Path) -> None:
    path = folder / "environments" / "adding" / "manifest.yaml"
    path.write_text(path.read_text().replace("agent_server: simple_agent", "agent_server: other  # old"))
    result = gym("env", "validate", "adding", cwd=folder)
    assert result.returncode == 1
    line = path.read_text().splitlines().index("agent_server: other  # old") + 1
    assert f"{path}:{line}: agent_server: says 'other', the configuration has 'simple_agent'" in result.stderr
    assert gym("env", "validate", "adding", "--sync", cwd=folder).returncode == 0
    assert "agent_server: simple_agent" in path.read_text()
    assert gym("env", "validate", "--manifest", path, cwd=folder).returncode == 0


def test_rows_that_the_verifier_can_not_read_are_named(gym: Gym, folder: Path) -> None:
    path = folder / "environments" / "adding" / "data" / "example.jsonl"
    path.write_text(path.read_text() + '{"responses_create_params": {"input": "?"}, "expected_answer": 3}\n')
    result = gym("env", "validate", "adding", cwd=folder)
    assert result.returncode == 1
    assert f"{path}:6: expected_answer: Input should be a valid string" in result.stderr


def test_a_benchmark_whose_prepare_can_not_be_called_is_refused(gym: Gym, folder: Path) -> None:
    script = folder / "benchmarks" / "sums" / "prepare.py"
    script.write_text(script.read_text().replace("def prepare()", "def prepare(folder)"))
    result = gym("env", "validate", "sums", "--kind", "benchmark", cwd=folder)
    assert result.returncode == 1
    assert "prepare() needs arguments, give folder a default" in result.stderr


def test_a_changed_verifier_fails_its_fixture_until_the_new_rewards_are_expected(
    gym: Gym, folder: Path
) -> None:
    code = folder / "resources_servers" / "adding" / "app.py"
    code.write_text(code.read_text().replace("RIGHT, WRONG = 1.0, 0.0", "RIGHT, WRONG = 0.5, 0.0"))
    result = gym("env", "test", "adding", cwd=folder)
    assert result.returncode == 1
    assert "FAIL  the number alone: expected 1, got 0.5" in result.stdout
    assert gym("env", "test", "adding", "--update-expected", cwd=folder).returncode == 0
    case = read_rows(folder / "environments" / "adding" / "golden.jsonl")[0]
    assert (case["kind"], case["expected_reward"]) == ("partial_reward", 0.5)
    assert gym("env", "test", "adding", cwd=folder).returncode == 0


def test_what_is_left_to_do_stands_in_the_way_of_publishing(gym: Gym, folder: Path) -> None:
    report = printed(gym("env", "publish", "adding", "--json", cwd=folder))
    assert {one["name"]: one["met"] for one in report["conditions"]} == {
        "valid": True,
        "fixture": True,
        "finished": False,
        "listed": True,
    }
    for path in folder.rglob("*"):
        if path.suffix in (".py", ".md", ".yaml"):
            path.write_text(path.read_text().replace("TODO", "Done"))
    result = gym("env", "publish", "adding", cwd=folder)
    assert (result.returncode, result.stdout.splitlines()[-1]) == (0, "environment adding can be published")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["init"], "give one of NAME, --resources-server NAME"),
        (["init", "a", "--benchmark", "b"], "give one of NAME"),
        (["init", "a", "--profile", "external-agent-loop"], "--profile and --reuse-verifier go with"),
        (["init", "a", "--reward-range", "0", "1"], "set its reward_range"),
        (["init", "--environment", "a", "--reward-range", "1", "0"], "expected the lowest reward"),
        (["init", "--environment", "a-b"], "'a_b' would do"),
        (["init", "--environment", "adding"], "is there already and is left as it is"),
        (["init", "--environment", "a", "--reuse-verifier", "addin"], "reuse verifier addin means"),
        (["init", "--environment", "a", "--reuse-verifier", "addin"], "Did you mean 'adding'?"),
        (["validate", "--kind", "environment"], "give the name of one environment"),
        (["validate", "addin", "--kind", "environment"], "Did you mean 'adding'?"),
        (["validate", "--manifest", "none.yaml"], "none.yaml: there is no such manifest"),
        (["test", "addin"], "no environment named 'addin'"),
        (["test", "--resources-server", "addin"], "Did you mean 'adding'?"),
        (["test", "++num_shard=2"], "Did you mean 'num_shards'?"),
        (["test", "++num_shards=2", "++shard_index=2"], "shard_index 2: expected 0 to 1"),
        (["test", "--update-expected"], "--update-expected goes with the name"),
        (["packages"], "say whose packages"),
        (["publish", "mcqa"], "no environment or benchmark 'mcqa' with a folder of its own"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_exit_code_2(
    workspace: Path,
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(workspace)
    monkeypatch.setattr(sys, "argv", ["gym", "env", *words])
    with pytest.raises(SystemExit) as left:
        main()
    output = capsys.readouterr()
    assert (left.value.code, output.out) == (2, "")
    assert message in output.err
