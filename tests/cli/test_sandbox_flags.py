"""`--sandbox-provider` of the commands that score or check."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import read_rows

Gym = Callable[..., subprocess.CompletedProcess[str]]

ENVIRONMENT = '''
from nemo_gym import Environment, Task, ask


class Provided(Environment):
    """Say x where apptainer makes the sandboxes."""

    stateless = True

    def tasks(self, split, seed, n):
        return [Task(responses_create_params=ask(f"Say x ({split} {i}).")) for i in range(4)]

    def verify(self, task, response, session):
        right = self.resources.sandboxes.provider().name == "apptainer"
        return float(right and response.final_text == "x")

    def oracle(self, task, session):
        return "x"
'''
CASES = [("right", "full_reward", "x"), ("wrong", "zero_reward", "y"), ("empty", "malformed", "")]


@pytest.fixture
def provided(tmp_path: Path) -> Path:
    path = tmp_path / "provided.py"
    path.write_text(ENVIRONMENT)
    task = {"responses_create_params": {"input": "Say x."}}
    lines = [{"name": name, "kind": kind, "task": task, "output": text} for name, kind, text in CASES]
    (tmp_path / "golden.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    hack = {"name": "honest", "family": "honest", "task": task, "output": "x", "expected": "full"}
    (tmp_path / "redteam.jsonl").write_text(json.dumps(hack) + "\n")
    return path


@pytest.mark.parametrize("command", ["check", "redteam"])
def test_the_check_and_the_red_team_use_the_provider(gym: Gym, provided: Path, command: str) -> None:
    words = ("env", command, str(provided), "--json", "--sandbox-provider")
    with_provider, without = gym(*words, "apptainer"), gym(*words[:-1])
    assert json.loads(with_provider.stdout)["environment"] == "provided"
    paid = {"check": "full_reward promises", "redteam": "earns 0"}[command]
    assert (paid in with_provider.stdout, paid in without.stdout) == (False, True)
    wrong = gym(*words, "apptainr")
    assert (wrong.returncode, "sandbox provider 'apptainr'" in wrong.stderr) == (2, True), wrong.stderr


def test_scoring_again_uses_the_provider(gym: Gym, provided: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.py"
    model.write_text("def answer(request):\n    return 'x'\n")
    old, new = tmp_path / "old.jsonl", tmp_path / "new.jsonl"
    ran = gym("run", str(provided), "-o", str(old), "--model-type", "scripted", "-m", f"{model}:answer")
    assert ran.returncode == 0, ran.stderr
    words = ("eval", "reverify", str(provided), "--rollouts", str(old), "-o", str(new))
    wrong = gym(*words, "--sandbox-provider", "apptainr")
    assert (wrong.returncode, "sandbox provider 'apptainr'" in wrong.stderr) == (2, True), wrong.stderr
    again = gym(*words, "--sandbox-provider", "apptainer", "--max-sandboxes", "2")
    assert again.returncode == 0, again.stderr
    assert [row["reward"] for row in read_rows(old)] == [0.0] * 4
    assert [row["reward"] for row in read_rows(new)] == [1.0] * 4
