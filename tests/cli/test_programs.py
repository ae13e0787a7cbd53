"""`gym run` with a program as the agent."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SUPPORT, read_rows

Gym = Callable[..., subprocess.CompletedProcess[str]]

SCRIPT = """
import json


from nemo_gym.library.coding.example_repair.problems import PROBLEMS


def mend(params):
    said = str(params["input"])
    if "function_call_output" in said:
        return "It is mended."
    problem = next(problem for problem in PROBLEMS if f"{problem.name}.py" in said)
    command = f"cat > {problem.name}.py << 'THE END'\\n{problem.source}THE END\\n"
    call = {"type": "function_call", "call_id": "call_1", "name": "exec_command"}
    return [{**call, "arguments": json.dumps({"cmd": command})}]
"""


@pytest.fixture(autouse=True)
def codex_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "codex").symlink_to(SUPPORT / "fake_cli.py")
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "script.py").write_text(SCRIPT)


WORDS = ("run", "example_repair", "--model-type=scripted", "--model=script.py:mend", "--output=out.jsonl")


def test_a_run_with_a_program_writes_scored_rows_with_their_calls(gym: Gym, tmp_path: Path) -> None:
    result = gym(*WORDS, "--agent=codex", "--limit=3", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    rows = read_rows(tmp_path / "out.jsonl")
    assert len(rows) == 3
    for row in rows:
        assert row["reward"] == 1.0
        assert row["agent_ref"]["name"] == "codex"
        assert len(row["ng_model_call_capture"]["calls"]) == 2


def test_a_sandbox_is_a_setting_of_the_agent(gym: Gym, tmp_path: Path) -> None:
    result = gym(*WORDS, "--agent=codex", "--agent-setting=sandbox=local", "--limit=2", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert_sandboxed(read_rows(tmp_path / "out.jsonl"))


def test_a_sandbox_in_a_configuration(gym: Gym, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(CONFIG)
    result = gym("eval", "run", "--config=run.yaml", "--limit=2", "--output=out.jsonl", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert_sandboxed(read_rows(tmp_path / "out.jsonl"))


def assert_sandboxed(rows: list[dict[str, Any]]) -> None:
    assert [row["reward"] for row in rows] == [1.0, 1.0]
    for row in rows:
        (record,) = row["ng_agent_observations"]["records"]
        assert (record["provider"], record["outcome"]) == ("local", "completed")


CONFIG = """
environment: example_repair
agent:
  name: codex
  sandbox:
    provider: {local: {limits: {processes: 64}}}
    limits: {cpu: 1, memory_mib: 512}
model: {type: scripted, name: "script.py:mend"}
"""


def test_worker_processes_are_refused_before_anything_is_written(gym: Gym, tmp_path: Path) -> None:
    result = gym(*WORDS, "--agent=codex", "--workers=2", cwd=tmp_path)
    assert result.returncode == 2
    assert "use one worker (--workers)" in result.stderr
    assert not (tmp_path / "out.jsonl").exists()


def test_a_missing_program_is_one_line(gym: Gym, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = gym(*WORDS, "--agent=claude_code", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr == ("gym: no program 'claude' on PATH: npm install -g @anthropic-ai/claude-code\n")
