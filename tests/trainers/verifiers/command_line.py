"""`vf-eval` plays a built-in environment with a chat endpoint: `make test-trainers-verifiers`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SUPPORT = Path(__file__).parents[2] / "support"


@pytest.fixture
def port() -> Iterator[str]:
    """The port of a server whose policy solves `example_multi_step`."""
    with subprocess.Popen(
        [sys.executable, SUPPORT / "token_server.py"], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.kill()


def test_vf_eval_plays_a_built_in_environment(port: str, tmp_path: Path) -> None:
    config = {
        "model": "policy",
        "push": False,
        "output_dir": str(tmp_path),
        "max_concurrent": 4,
        "run": {"name": "run"},
        "client": {"type": "eval", "base_url": f"http://127.0.0.1:{port}/v1", "api_key_var": "NOT_A_KEY"},
        "env": {"taskset": {"id": "nemo-gym-verifiers", "environment": "example_multi_step", "limit": 3}},
    }
    (tmp_path / "eval.json").write_text(json.dumps(config))

    ran = subprocess.run(
        [Path(sys.executable).with_name("vf-eval"), "@", tmp_path / "eval.json"],
        env={**os.environ, "NOT_A_KEY": "none"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    lines = (tmp_path / "run" / "traces.jsonl").read_text().splitlines()
    episodes = sorted((json.loads(line) for line in lines), key=lambda one: one["task"]["data"]["idx"])
    assert [episode["ok"] for episode in episodes] == [True] * 3
    traces = [episode["traces"][0] for episode in episodes]
    assert [trace["rewards"]["nemo_gym"]["score"] for trace in traces] == [1.0] * 3
    assert all([node["message"]["role"] for node in trace["nodes"]].count("tool") > 2 for trace in traces)
