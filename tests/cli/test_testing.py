from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Gym = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize("template", ["tools", "steps"])
def test_a_rollout_becomes_a_golden_case_that_the_check_plays(
    gym: Gym, tmp_path: Path, template: str
) -> None:
    assert gym("env", "init", "mine", "--template", template, cwd=tmp_path).returncode == 0
    gym("run", "mine", "--model-type", "oracle", "--limit", "2", "-o", "out.jsonl", cwd=tmp_path)
    result = gym(
        "env", "golden", "mine", "--run", "out.jsonl", "--task", "1", "--case", "by rollout", cwd=tmp_path
    )
    assert "wrote 'by rollout' (full_reward) to " in result.stdout, result.stderr
    lines = (tmp_path / "mine" / "golden.jsonl").read_text().splitlines()
    case = json.loads(lines[-1])
    assert (case["name"], case["kind"]) == ("by rollout", "full_reward")
    expected = {
        "tools": {"responses_create_params", "expected"},
        "steps": {"responses_create_params", "number"},
    }
    assert case["task"].keys() == expected[template]
    checked = gym("env", "check", "mine", cwd=tmp_path)
    assert checked.returncode == 0
    assert f"{len(lines)} cases" in checked.stdout


def test_what_can_not_be_a_case_is_one_line(gym: Gym, tmp_path: Path) -> None:
    gym("env", "init", "mine", cwd=tmp_path)
    gym("run", "mine", "--model-type", "oracle", "--limit", "1", "-o", "out.jsonl", cwd=tmp_path)
    words = ("env", "golden", "mine", "--run", "out.jsonl")
    assert gym(*words, "--case", "x", cwd=tmp_path).returncode == 0
    for more, message in (
        (("--case", "x"), "has a case 'x' already: give another name (--case)"),
        (("--task", "7"), "has no rollout of task 7, repeat 0"),
    ):
        result = gym(*words, *more, cwd=tmp_path)
        assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
        assert message in result.stderr
    result = gym("env", "golden", "reasoning", "--run", "out.jsonl", cwd=tmp_path)
    assert "reasoning comes with this package: say where with --output PATH" in result.stderr


def test_a_run_of_another_environment_is_no_source_of_cases(gym: Gym, tmp_path: Path) -> None:
    gym("env", "init", "mine", cwd=tmp_path)
    gym("env", "init", "game", "--template", "steps", cwd=tmp_path)
    gym("run", "game", "--model-type", "oracle", "--limit", "1", "-o", "out.jsonl", cwd=tmp_path)
    before = (tmp_path / "mine" / "golden.jsonl").read_bytes()

    result = gym("env", "golden", "mine", "--run", "out.jsonl", cwd=tmp_path)

    assert (result.returncode, result.stderr) == (2, "gym: out.jsonl is a run of game, not of mine\n")
    assert (tmp_path / "mine" / "golden.jsonl").read_bytes() == before
    by_file = gym("env", "golden", "game/environment.py", "--run", "out.jsonl", cwd=tmp_path)
    assert by_file.returncode == 0, by_file.stderr
