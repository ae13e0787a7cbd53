"""The example with a sandbox gives the same rewards in this process, in workers, served, and from Python."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nemo_gym
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.sandbox.providers.local import LocalProvider
from nemo_gym.wire.params import RequestParams
from tests.support.started import PATIENCE_S, Gym

EXAMPLE = Path(__file__).parents[2] / "examples" / "write_function"
SCRIPT = """
ANSWERS = {
    "add": "def add(a, b):\\n    return b + a",
    "last": "def last(x): return x[0]",
    "twice": "print(['abab', ''])\\nimport os\\nos._exit(0)\\ndef twice(s): pass",
}

def answer(params):
    [name] = [name for name in ANSWERS if f"{name}(" in params["input"][-1]["content"]]
    return ANSWERS[name]
"""
REWARDS = [1.0, 0.0, 0.0]


@pytest.fixture
def gym(tmp_path: Path) -> Iterator[Gym]:
    made = Gym(tmp_path)
    yield made
    made.clean()


async def isolation() -> dict[str, str]:
    held = await LocalProvider(create={"isolation": "auto"}).isolation()
    return {"local": "namespaces" if held.namespaces else "none"}


def rewards(path: Path, note: dict[str, str]) -> list[float]:
    rows: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["ng_sandbox"] for row in rows] == [note] * 3
    return [row["reward"] for row in sorted(rows, key=lambda row: row["_ng_task_index"])]


async def test_it_is_short_and_keeps_the_promises_of_every_environment(gym: Gym) -> None:
    assert len((EXAMPLE / "environment.py").read_text().splitlines()) <= 40
    checked = gym("--allow-unsafe", "env", "check", EXAMPLE, "--json")
    assert checked.returncode == 0, checked.stdout + checked.stderr


async def test_collect_scores_it() -> None:
    namespace: dict[str, Any] = {}
    exec(SCRIPT, namespace)

    def answer(params: RequestParams) -> str:
        return namespace["answer"](params)

    note = await isolation()
    rollouts = [one async for one in nemo_gym.collect(str(EXAMPLE), ScriptedModel(answer))]
    rollouts.sort(key=lambda rollout: rollout.task_index)
    assert [rollout.reward for rollout in rollouts] == REWARDS
    assert [rollout.details["ng_sandbox"] for rollout in rollouts] == [note] * 3


@pytest.mark.parametrize("more", [[], ["--workers", "2", "--max-sandboxes", "1"]], ids=["here", "workers"])
async def test_a_run_scores_it(gym: Gym, more: list[str]) -> None:
    words = ["--model-type", "scripted", "-m", gym.script(SCRIPT), "-o", gym.folder / "out.jsonl"]
    ran = gym("--allow-unsafe", "run", EXAMPLE, *words, *more)
    assert ran.returncode == 0, ran.stderr
    assert rewards(gym.folder / "out.jsonl", await isolation()) == REWARDS


async def test_a_server_scores_it(gym: Gym) -> None:
    model = ["--model-type", "scripted", "-m", gym.script(SCRIPT)]
    gym.start(EXAMPLE / "environment.py", *model, "max_sandboxes=1", "--allow-unsafe")
    url = gym.servers()["write_function"]["url"]
    ran = gym("run", EXAMPLE, "--environment-url", url, *model, "-o", gym.folder / "out.jsonl")
    assert ran.returncode == 0, ran.stderr
    assert rewards(gym.folder / "out.jsonl", await isolation()) == REWARDS
    assert gym("env", "stop").returncode == 0


def test_a_limit_that_is_no_number_is_refused(gym: Gym) -> None:
    words = ["-m", "nemo_gym", "run", str(EXAMPLE), "--model-type", "random", "--max-sandboxes", "0"]
    refused = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert refused.returncode == 2
    assert "--max-sandboxes" in refused.stderr
    started = gym("env", "start", "mcqa", "--model-type", "random", "max_sandboxes=none_at_all")
    assert started.returncode != 0
    assert started.stderr == "gym: Expected `int | null`, got `str` - at `$.max_sandboxes`\n"
