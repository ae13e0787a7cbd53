"""`gym sandbox serve`, and runs whose sandboxes it makes."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import read_rows

Gym = Callable[..., "subprocess.CompletedProcess[str]"]
TOKEN = "token-of-the-sandbox-server"


SCRIPT = """
import json
import time
from pathlib import Path
from nemo_gym.wire.items import function_call

def answer(params):
    Path("asked").write_text("yes")
    return [function_call("run_command", json.dumps({"command": "sleep 600"}), call_id="c")]
"""
"""A model that runs a long command. The file tells the test that it was asked."""


@contextmanager
def serving(*words: str) -> Generator[tuple[str, subprocess.Popen[str]]]:
    """A sandbox server in a process of its own, and its URL."""
    command = [
        sys.executable,
        "-c",
        "from nemo_gym.cli.main import main; main()",
        "sandbox",
        "serve",
        "--port",
        "0",
        *words,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            ready = re.fullmatch(r"sandbox server ready at (http://\S+)\n", line)
            assert ready, line
            yield ready[1], process
        finally:
            process.kill()


def test_a_run_has_its_sandboxes_on_a_server(
    gym: Gym, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLUSTER_TOKEN", TOKEN)
    with serving("--token-env", "CLUSTER_TOKEN") as (url, process):
        config = tmp_path / "run.yaml"
        block = (
            f"farm:\n  default_metadata: {{team: a}}\n  remote: {{url: {url}, token_env: CLUSTER_TOKEN}}\n"
        )
        config.write_text(f"environment: terminal\n{block}")
        oracle = ("--model-type", "oracle", "--limit", 3)
        by_block = ("run", "--config", config, *oracle, "-o", "block.jsonl", "--sandbox-provider", "farm")
        result = gym(*by_block, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        by_url = ("run", "code_gen", *oracle, "--sandbox-provider", f"remote={url}", "-o")
        refused = gym(*by_url, "no.jsonl", cwd=tmp_path)
        assert "refuses the token" in refused.stderr
        assert not read_rows(tmp_path / "no.jsonl")
        monkeypatch.setenv("NEMO_GYM_SANDBOX_TOKEN", TOKEN)
        result = gym(*by_url, "url.jsonl", "--workers", 2, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    for name in ("block", "url"):
        rows = read_rows(tmp_path / f"{name}.jsonl")
        assert [row["reward"] for row in rows] == [1.0] * 3
        assert [row["ng_sandbox"] for row in rows] == [{"remote": "namespaces"}] * 3
    assert not [path for path in tmp_path.iterdir() if path.is_file() and TOKEN in path.read_text()]


def test_a_server_that_is_killed_leaves_its_rollouts_unscored(gym: Gym, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    with serving() as (url, process):

        def kill() -> None:
            while not (tmp_path / "asked").exists():
                time.sleep(0.05)
            process.kill()

        killer = threading.Thread(target=kill)
        killer.start()
        script = ("--model-type", "scripted", "-m", "script.py:answer", "--limit", 1, "-o", "out.jsonl")
        result = gym("run", "terminal", *script, "--sandbox-provider", f"remote={url}", cwd=tmp_path)
        killer.join()
    assert result.returncode == 1
    assert read_rows(tmp_path / "out.jsonl") == []
    (failure,) = read_rows(tmp_path / "out_failures.jsonl")
    assert failure["_ng_failure_class"] == "server_unreachable"
    assert "sandbox server" in str(failure)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--provider", "dockr"), r"Unknown sandbox provider 'dockr'"),
        (("create.netwrk=none",), r"local\.create: no setting 'netwrk'.* Did you mean 'network'\?"),
    ],
)
def test_mistakes_are_one_clear_line(gym: Gym, words: tuple[str, ...], message: str) -> None:
    result = gym("sandbox", "serve", "--port", 0, *words)
    assert result.returncode in (1, 2)
    assert re.search(message, result.stderr)
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("remote", r"remote\.url: expected the URL of a sandbox server"),
        ("remote=nowhere", r"sandbox server URL 'nowhere': expected something like http"),
        ("docker=http://x:1", r"Sandbox provider 'docker': .*url"),
    ],
)
def test_a_run_refuses_a_provider_without_its_settings(
    gym: Gym, tmp_path: Path, setting: str, message: str
) -> None:
    words = ("run", "code_gen", "--model-type", "oracle", "--limit", 1, "-o", tmp_path / "out.jsonl")
    result = gym(*words, "--sandbox-provider", setting)
    assert result.returncode == 2
    assert re.search(message, result.stderr)
    assert len(result.stderr.splitlines()) == 1
