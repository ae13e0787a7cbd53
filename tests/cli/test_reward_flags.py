"""Weights and shapes of a run: equal rewards in this process, in workers, from a server and scored again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import read_rows

import nemo_gym as gym_api
from nemo_gym.environments.reward_terms import RewardTerms
from nemo_gym.wire.errors import UsageError
from tests.support.started import Gym

PARTS = """
from nemo_gym import Environment, Reward, ask

class Parts(Environment):
    stateless = True
    reward_range = (0.0, 2.0)

    def tasks(self, split, seed, n):
        return [{"responses_create_params": ask(str(i)), "number": i} for i in range(4)]

    def verify(self, task, response, session):
        parts = {"correctness": float(session.row["number"] % 2), "format": 0.5}
        return Reward(sum(parts.values()), parts)

class Declared(Parts):
    reward_components = {"correctness": (0.0, 1.0), "format": (0.0, 1.0)}
"""
SCRIPT = """
def answer(params):
    text = params["input"][-1]["content"]
    return "<answer>1</answer>" if text == "3" else "1"
"""
WEIGHTS = ("--reward-weights", "correctness=10,format=4", "--shape", "format:tag=answer,penalty=0.5")
EXPECTED = [1.5, 11.5, 1.5, 12.0]


@pytest.fixture
def gym(tmp_path: Path) -> Iterator[Gym]:
    program = Gym(tmp_path)
    program.script(SCRIPT)
    (tmp_path / "parts.py").write_text(PARTS)
    yield program
    program.clean()


def run(gym: Gym, *words: object, environment: str = "Declared") -> tuple[int, str]:
    model = ("--model-type", "scripted", "-m", "script.py:answer")
    result = gym("run", f"parts.py:{environment}", *model, *words)
    return result.returncode, result.stderr


def rewards(gym: Gym, name: str) -> list[float]:
    rows = sorted(read_rows(gym.folder / name), key=lambda row: row["_ng_task_index"])
    return [row["reward"] for row in rows]


def manifest(gym: Gym, name: str) -> dict[str, Any]:
    return json.loads((gym.folder / f"{name}_manifest.json").read_text())


def test_a_run_holds_its_weights_and_resumes_only_with_them(gym: Gym) -> None:
    assert run(gym, *WEIGHTS, "--limit", 2, "-o", "out.jsonl") == (0, "")
    record = manifest(gym, "out")
    assert record["identity"]["reward"]["weights"] == {"correctness": 10.0, "format": 4.0}
    assert record["rewards"] == {
        "low": -0.5,
        "high": 14.0,
        "solved_at": 14.0,
        "declared": True,
        "components": {"correctness": [0.0, 1.0], "format": [0.0, 1.0]},
    }
    code, message = run(gym, "--reward-weights", "format=4", "-o", "out.jsonl", "--resume")
    assert (code, "reward.weights.correctness was 10.0, is now None" in message) == (2, True)
    assert run(gym, *WEIGHTS, "-o", "out.jsonl", "--resume")[0] == 0
    assert rewards(gym, "out.jsonl") == EXPECTED
    row = read_rows(gym.folder / "out.jsonl")[0]
    assert row["ng_reward_weights"] == record["identity"]["reward"]["weights"]
    assert row["ng_reward_shaping"][0]["subtracts"] == 0.5


@pytest.mark.parametrize("environment", ["Declared", "Parts"])
def test_workers_give_the_same_rewards(gym: Gym, environment: str) -> None:
    code, _ = run(gym, *WEIGHTS, "--workers", 2, "-o", "out.jsonl", environment=environment)
    assert (code, rewards(gym, "out.jsonl")) == (0, EXPECTED)


def test_a_server_gives_the_same_rewards_and_declares_its_components(gym: Gym) -> None:
    gym.start("parts.py:Declared", "--model-type", "scripted", "-m", "script.py:answer")
    url = next(
        server["url"] for server in gym.servers().values() if server["server_type"] == "resources_servers"
    )
    code, message = run(gym, "--environment-url", url, *WEIGHTS, "-o", "out.jsonl")
    assert (code, rewards(gym, "out.jsonl")) == (0, EXPECTED), message
    wrong = ("--reward-weights", "formt=1", "-o", "other.jsonl")
    code, message = run(gym, "--environment-url", url, *wrong)
    assert (code, "Did you mean 'format'" in message) == (2, True)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_unknown_component_ends_a_run_at_its_first_row(gym: Gym, workers: int) -> None:
    wrong = ("--reward-weights", "corectness=1", "--workers", workers, "-o", "out.jsonl")
    code, message = run(gym, *wrong)
    assert (code, (gym.folder / "out.jsonl").exists()) == (2, False)
    assert "no reward component 'corectness'. Did you mean 'correctness'?" in message
    code, message = run(gym, *wrong, environment="Parts")
    assert code != 0
    assert message.count("Did you mean 'correctness'?") == 1
    assert "Traceback" not in message
    assert not read_rows(gym.folder / "out.jsonl")


def test_a_configuration_means_the_same(gym: Gym) -> None:
    settings = {
        "environment": "parts.py:Declared",
        "model": "random",
        "reward_weights": {"correctness": 10, "format": 4},
        "reward_shaping": [{"type": "format", "tag": "answer", "penalty": 0.5}],
    }
    (gym.folder / "run.yaml").write_text(json.dumps(settings))
    result = gym("run", "--config", "run.yaml", "-o", "out.jsonl")
    assert (result.returncode, rewards(gym, "out.jsonl")) == (0, [1.5, 11.5, 1.5, 11.5]), result.stderr
    result = gym("run", "--config", "run.yaml", "-o", "more.jsonl", "reward_weights.format=0", *WEIGHTS[2:])
    assert (result.returncode, rewards(gym, "more.jsonl")) == (0, [-0.5, 9.5, -0.5, 9.5]), result.stderr


def test_scoring_again_keeps_the_weights_or_changes_them(gym: Gym) -> None:
    assert run(gym, *WEIGHTS, "-o", "old.jsonl")[0] == 0

    def again(name: str, *words: str) -> list[float]:
        result = gym("eval", "reverify", "--rollouts", "old.jsonl", "-o", name, *words)
        assert result.returncode == 0, result.stderr
        return rewards(gym, name)

    assert again("same.jsonl") == EXPECTED
    metrics = [(gym.folder / f"{name}_aggregate_metrics.json").read_text() for name in ("old", "same")]
    assert metrics[0] == metrics[1]
    assert again("plain.jsonl", "--reward-weights", "", "--shape", "") == [0.5, 1.5, 0.5, 1.5]
    assert "reward" not in manifest(gym, "plain")["identity"]
    assert again("other.jsonl", "--reward-weights", "format=0", "--limit", "2") == [-0.5, 0.5]
    merged = gym("eval", "aggregate", "-i", "old.jsonl,other.jsonl", "-o", "all.jsonl")
    assert (merged.returncode, "different weights or shapes" in merged.stderr) == (2, True)
    mixture = gym("eval", "reverify", "--rollouts", "old.jsonl", "-o", "other.jsonl", "--append")
    assert (mixture.returncode, "other weights or shapes" in mixture.stderr) == (2, True)


async def test_a_run_without_weights_and_shapes_calls_nothing(
    gym: Gym, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []
    for name in ("apply", "_reward", "_weighted"):
        monkeypatch.setattr(RewardTerms, name, calls.append)
    rollouts = [one async for one in gym_api.collect(str(gym.folder / "parts.py:Declared"), "random")]
    assert [one.reward is not None for one in rollouts] == [True] * 4
    assert not calls


async def test_from_python_the_rewards_are_the_same(gym: Gym) -> None:
    reference = str(gym.folder / "parts.py:Declared")
    collected = [
        rollout
        async for rollout in gym_api.collect(
            reference,
            "random",
            reward_weights={"correctness": 10, "format": 4},
            reward_shaping=[{"type": "format", "tag": "answer", "penalty": 0.5}],
        )
    ]
    assert sorted(rollout.reward or 0.0 for rollout in collected) == [1.5, 1.5, 11.5, 11.5]
    with pytest.raises(UsageError, match="Did you mean 'format'"):
        async for _ in gym_api.collect(reference, "random", reward_weights={"formt": 1}):
            pass
