"""`--journal-turns`: a rollout whose process was killed goes on after its last completed turn."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from conftest import StartEndpoint, read_rows

Gym = Callable[..., "subprocess.CompletedProcess[str]"]

TOOLS = '''
import os
from pathlib import Path

from nemo_gym import Environment, Response, Session, Task, tool


class Ledger(Environment):
    """Adds numbers, with a little luck."""

    {declaration}

    def seed(self, task: Task, session: Session) -> None:
        session.state["values"] = []

    @tool
    def push(self, value: int, session: Session) -> str:
        """Add a number."""
        with Path(__file__).with_name("calls.txt").open("a") as file:
            file.write(f"{{value}}\\n")
        session.state["values"].append(value + session.rng.randrange(1000))
        return f"{{sum(session.state['values'])}} {{{extra}}}"

    def verify(self, task: Task, response: Response, session: Session) -> float:
        values = session.state["values"]
        return sum(place * value for place, value in enumerate(values)) % 9973 / 9973
'''
STEPS = '''
from pathlib import Path

from nemo_gym import Response, Session, Step, StepEnvironment, Task


class Ledger(StepEnvironment):
    """Adds numbers, with a little luck."""

    max_steps = 50
    {declaration}

    def reset(self, task: Task, session: Session) -> str:
        session.state["values"] = []
        return "begin"

    def step(self, action: Response, session: Session) -> Step:
        with Path(__file__).with_name("calls.txt").open("a") as file:
            file.write(f"{{action.final_text}}\\n")
        if action.final_text == "done":
            return Step(terminated=True)
        value = int(action.final_text.split()[1]) + session.rng.randrange(1000)
        session.state["values"].append(value)
        return Step(f"sum {{sum(session.state['values'])}}", reward=value % 97 / 9700, info={{"last": value}})
'''
REPLAYED = "restorable = True"
SNAPSHOT = """
    def snapshot(self, session):
        return {"values": session.state["values"], "rng": session.rng.getstate()}

    def restore(self, state, session):
        version, numbers, gauss = state["rng"]
        session.state["values"] = list(state["values"])
        session.rng.setstate((version, tuple(numbers), gauss))
"""
TURNS = 20


class Setting:
    """An environment, a task, and the words of a run."""

    def __init__(
        self, folder: Path, start_endpoint: StartEndpoint, gym: Gym, source: str, **endpoint: object
    ) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "ledger.py").write_text(source)
        task = {"responses_create_params": {"input": [{"role": "user", "content": "add"}]}}
        (folder / "tasks.jsonl").write_text(f"{json.dumps(task)}\n")
        self.url = start_endpoint("turn_endpoint.py", **endpoint)
        self.out = folder / "out.jsonl"
        self.turns = folder / "out_turns" / "0-0.jsonl"
        self.calls = folder / "calls.txt"
        self._gym = gym
        self._words: list[object] = [
            *("run", folder / "ledger.py", "-i", folder / "tasks.jsonl", "-o", self.out, "--seed", 5),
            *("--model-type", "responses", "--model-url", self.url, "-m", "m", "--max-steps", 30),
        ]

    @property
    def requests(self) -> int:
        with urlopen(f"{self.url}/requests") as answer:
            return json.load(answer)["requests"]

    @property
    def tool_calls(self) -> int:
        return len(self.calls.read_text().splitlines()) if self.calls.exists() else 0

    def run_until_held_and_kill(self, *words: object) -> None:
        command = [sys.executable, "-m", "nemo_gym", *map(str, [*self._words, *words])]
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        ) as process:
            urlopen(f"{self.url}/held", timeout=60).read()
            os.killpg(process.pid, signal.SIGKILL)

    def run(self, *words: object) -> tuple[dict[str, Any], str]:
        done = self._gym(*self._words, *words)
        assert done.returncode == 0, done.stderr
        (row,) = read_rows(self.out)
        return row, done.stderr


def tools_environment(declaration: str, extra: str = "0") -> str:
    return TOOLS.format(declaration=declaration, extra=extra)


def tokens_of(row: dict[str, Any]) -> list[int]:
    return [token for item in row["response"]["output"] for token in item.get("generation_token_ids", ())]


@pytest.mark.parametrize(
    ("source", "repeated", "workers"),
    [
        pytest.param(tools_environment(REPLAYED), True, 1, id="tools made again"),
        pytest.param(tools_environment(SNAPSHOT), False, 2, id="tools, snapshot, in workers"),
        pytest.param(STEPS.format(declaration=REPLAYED), True, 1, id="steps made again"),
        pytest.param(STEPS.format(declaration=SNAPSHOT), False, 1, id="steps, snapshot"),
    ],
)
def test_only_the_missing_turns_are_asked_for(
    tmp_path: Path, start_endpoint: StartEndpoint, gym: Gym, source: str, repeated: bool, workers: int
) -> None:
    whole, _ = Setting(tmp_path / "whole", start_endpoint, gym, source, turns=TURNS).run()
    killed = Setting(tmp_path / "killed", start_endpoint, gym, source, turns=TURNS, hold=13)
    words = ("--journal-turns", "--workers", workers)

    killed.run_until_held_and_kill(*words)
    kept = killed.turns.read_bytes()
    with killed.turns.open("ab") as file:
        file.write(b'{"answer": {"id": "torn')
    row, log = killed.run("--resume", *words)

    assert len(kept.splitlines()) == 1 + 12
    assert killed.requests == 13 + (TURNS + 1 - 12)
    assert row["reward"] == whole["reward"] != 0
    assert tokens_of(whole) == [*range(1, TURNS + 2)]
    assert tokens_of(row) == [*range(1, 13), *range(14, TURNS + 3)]
    assert row["response"]["usage"] == whole["response"]["usage"]
    assert len(row["response"]["output"]) == len(whole["response"]["output"])
    assert (row["ng_timing"]["model_calls"], row["ng_timing"]["resumed_turns"]) == (TURNS + 1, 12)
    ends_in_a_step = "StepEnvironment" in source
    assert killed.tool_calls == TURNS + ends_in_a_step + (12 if repeated else 0)
    assert "starts again" not in log
    assert not killed.turns.parent.exists()


def test_a_killed_rollout_goes_on_as_often_as_it_is_killed(
    tmp_path: Path, start_endpoint: StartEndpoint, gym: Gym
) -> None:
    killed = Setting(tmp_path, start_endpoint, gym, tools_environment(REPLAYED), turns=TURNS, hold="8,10,21")

    killed.run_until_held_and_kill("--journal-turns")
    killed.run_until_held_and_kill("--journal-turns", "--resume")
    killed.run_until_held_and_kill("--journal-turns", "--resume")
    row, _ = killed.run("--journal-turns", "--resume")

    assert tokens_of(row) == [number for number in range(1, TURNS + 5) if number not in (8, 10, 21)]
    assert killed.requests == TURNS + 1 + 3
    assert row["ng_timing"]["resumed_turns"] == 18


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (tools_environment("domain = 'other'"), "environment ledger can't be restored"),
        (tools_environment(REPLAYED, extra="os.getpid()"), "task 0, repeat 0 starts again"),
        (STEPS.format(declaration="domain = 'other'"), "environment ledger can't be restored"),
    ],
)
def test_a_rollout_that_can_not_go_on_starts_again_and_says_so(
    tmp_path: Path, start_endpoint: StartEndpoint, gym: Gym, source: str, reason: str
) -> None:
    killed = Setting(tmp_path, start_endpoint, gym, source, turns=TURNS, hold=13)

    killed.run_until_held_and_kill("--journal-turns")
    row, log = killed.run("--resume", "--journal-turns")

    assert reason in log
    assert killed.requests == 13 + TURNS + 1
    assert tokens_of(row) == [*range(14, 14 + TURNS + 1)]
    assert "resumed_turns" not in row["ng_timing"]
    assert not killed.turns.parent.exists()


def test_without_the_option_nothing_is_kept(tmp_path: Path, start_endpoint: StartEndpoint, gym: Gym) -> None:
    killed = Setting(tmp_path, start_endpoint, gym, tools_environment(REPLAYED), turns=TURNS, hold=13)

    killed.run_until_held_and_kill()

    assert not killed.turns.parent.exists()


def test_a_configuration_has_the_option_too(tmp_path: Path, gym: Gym) -> None:
    keys = "environment: reasoning\nmodel: random\nlimit: 1\njournal_turns: true\n"
    (tmp_path / "run.yaml").write_text(keys)

    done = gym("run", "--config", tmp_path / "run.yaml", "-o", tmp_path / "out.jsonl")

    assert done.returncode == 0, done.stderr
    assert "warning: the turns are not kept, and a killed rollout starts again" in done.stderr


def test_mistakes_are_one_line(tmp_path: Path, start_endpoint: StartEndpoint, gym: Gym) -> None:
    run = Setting(tmp_path, start_endpoint, gym, tools_environment(REPLAYED))

    done = gym(*run._words, "--journal-turns", "--capture-dir", tmp_path / "capture")

    assert done.returncode != 0
    assert "can't be kept together" in done.stderr
    assert "(--journal-turns, --capture-dir)" in done.stderr
