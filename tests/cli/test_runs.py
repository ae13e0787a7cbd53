"""`gym runs`: runs that go on, that were ended or killed, and some of their rollouts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import read_rows

from nemo_gym.runs.loop import ending_signals

Gym = Callable[..., "subprocess.CompletedProcess[str]"]

SLOW = """
import asyncio
from nemo_gym import Environment, ask

class Slow(Environment):
    def tasks(self, split, seed, n):
        return [{"responses_create_params": ask(str(i)), "number": i} for i in range(4000)]

    async def verify(self, task, response, session):
        await asyncio.sleep(0.05)
        return float(session.row["number"] % 2)
"""
RUN = ("run", "slow.py", "--model-type", "random", "--concurrency", 4, "-o", "results/out.jsonl")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "slow.py").write_text(SLOW)
    return tmp_path


ROWS = 20
"""Rollouts that are there before a run is ended, so that some have each reward."""


def ended_by(folder: Path, ending: signal.Signals) -> str:
    """What a run that got a signal in the middle of its work said."""
    gym = [sys.executable, "-m", "nemo_gym", *map(str, RUN)]
    command = ["env", "--default-signal=HUP", *gym]  # these tests may run under nohup themselves
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True)
    output = folder / "results" / "out.jsonl"
    deadline = time.monotonic() + 120
    while not (output.exists() and output.read_bytes().count(b"\n") >= ROWS) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, ending)
    _, said = process.communicate(timeout=120)
    return said


def listed(folder: Path, gym: Gym) -> dict[str, object]:
    result = gym("runs", "list", "--json", cwd=folder)
    assert result.returncode == 0, result.stderr
    (run,) = json.loads(result.stdout)
    return run


def test_a_hang_up_ends_a_run_in_good_order(folder: Path, gym: Gym) -> None:
    said = ended_by(folder, signal.SIGHUP)

    assert "interrupted; the same command with --resume goes on from here" in said
    manifest = json.loads((folder / "results" / "out_manifest.json").read_text())
    assert manifest["status"] == "interrupted"
    assert manifest["counts"]["scored"] == len(read_rows(folder / "results" / "out.jsonl")) > 0


def test_a_hang_up_that_nohup_has_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup themselves
    try:
        assert signal.SIGHUP in ending_signals()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        assert ending_signals() == [signal.SIGINT, signal.SIGTERM]
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_killed_run_is_listed_as_interrupted_and_its_rollouts_are_drawn(folder: Path, gym: Gym) -> None:
    ended_by(folder, signal.SIGKILL)

    run = listed(folder, gym)
    assert (run["status"], run["requested"], run["environment"]) == ("interrupted", 4000, "slow.py")
    assert 0 < int(str(run["scored"])) < 4000
    output = "results/out.jsonl"
    result = gym("runs", "show", output, "--failed", "--reward", 0, "--sample", 2, "--json", cwd=folder)
    drawn = json.loads(result.stdout)
    assert [row["reward"] for row in drawn["rollouts"]] == [0.0, 0.0]
    assert drawn["of"] == sum(row["reward"] == 0 for row in read_rows(folder / output))
    screen = gym("runs", "show", output, "--reward", 1, "--sample", 1, cwd=folder)
    assert "reward       1\n" in screen.stdout
    assert "1 of " in screen.stdout
    wrong = gym("runs", "show", output, "--task", 0, "--failed", cwd=folder)
    assert (wrong.returncode, "--task names one rollout" in wrong.stderr) == (2, True)
