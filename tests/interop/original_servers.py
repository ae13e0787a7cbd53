"""Our collector against servers that the original package started: the same rewards, row for row.

Not part of the default run, for it needs the original in an environment of its own: `make test-interop`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import read_rows

import nemo_gym
from nemo_gym.environments.discovery import find_environment
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.wire.rollout import Rollout

HERE = Path(__file__).parent
SCRIPT = f"{HERE / 'script.py'}:answer"
ORIGINAL = HERE.parents[1] / "benchmarks" / ".peers" / "nemo-gym" / "bin" / "python"

Rewards = dict[int, float | None]


@pytest.fixture(scope="module")
def model_url() -> Iterator[str]:
    with subprocess.Popen([sys.executable, HERE / "script.py"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        process.kill()


@pytest.fixture(scope="module")
def servers(model_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The original's head server and resources servers."""
    out = tmp_path_factory.mktemp("original")
    command = [ORIGINAL, HERE / "serve_original.py", "--model-url", model_url, "--out", out]
    with (
        (out / "log.txt").open("w") as log,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the original did not start:\n{(out / 'log.txt').read_text()[-3000:]}"
        yield json.loads(line)
        process.communicate()


def tasks(environment: str) -> list[dict[str, Any]]:
    """The original's own example rows, each with a plan for the model as the last line of its prompt; every
    other plan earns nothing."""
    (file,) = ORIGINAL.parents[1].glob(
        f"lib/*/site-packages/resources_servers/{environment}/data/example.jsonl"
    )
    return [
        with_plan(row, _PLANS[environment](row, right=number % 2 == 0))
        for number, row in enumerate(read_rows(file))
    ]


def mcqa(row: dict[str, Any], *, right: bool) -> list[Any]:
    return [f"It is \\boxed{{{row['expected_answer'] if right else 'Z'}}}."]


def counter(row: dict[str, Any], *, right: bool) -> list[Any]:
    """All calls in one answer, so that their order matters."""
    missing = row["expected_count"] - row["initial_count"]
    calls = [["increment_counter", {"count": missing - 1}], ["increment_counter", {"count": 1}]]
    return [[*(calls if right else calls[:1]), ["get_counter_value", {}]], "The counter is set."]


def synonyms(row: dict[str, Any], *, right: bool) -> list[Any]:
    row["synonyms"] = row["expected_synonyms"]
    values = row["expected_synonym_values"]
    return [
        *([["get_synonym_value", {"synonym": word}]] for word in row["synonyms"]),
        [["extract_synonym_values", {"synonym_values": values if right else [*values, 1]}]],
        "All handed in.",
    ]


_PLANS: dict[str, Callable[..., list[Any]]] = {
    "mcqa": mcqa,
    "example_session_state_mgmt": counter,
    "example_multi_step": synonyms,
}


def with_plan(row: dict[str, Any], plan: list[Any]) -> dict[str, Any]:
    params = row["responses_create_params"]
    *before, last = params["input"]
    asked = {**last, "content": f"{last['content']}\n{json.dumps(plan)}"}
    return {**row, "responses_create_params": {**params, "input": [*before, asked]}}


async def rewards_here(environment: str) -> Rewards:
    """What our own environment gives for the same rows and the same model."""
    model = ScriptedModel(SCRIPT)
    kind = find_environment(environment)
    return by_task([rollout async for rollout in nemo_gym.collect(kind, model, tasks(environment))])


def by_task(rollouts: list[Rollout]) -> Rewards:
    assert [str(rollout.failure) for rollout in rollouts if rollout.failure] == []
    return {rollout.task_index: rollout.reward for rollout in rollouts}


@pytest.mark.parametrize("environment", _PLANS)
async def test_the_originals_environments_give_our_agent_the_same_rewards(
    servers: dict[str, Any], environment: str
) -> None:
    url = servers["environments"][environment]
    model = ScriptedModel(SCRIPT)
    there = by_task([rollout async for rollout in nemo_gym.collect(url, model, tasks(environment))])

    assert there == await rewards_here(environment)
    assert set(there.values()) == {0.0, 1.0}


async def test_no_serve_collects_from_all_of_the_originals_agents_in_one_run(
    servers: dict[str, Any], gym: Callable[..., Any], tmp_path: Path
) -> None:
    given = [
        {**task, "agent_ref": {"type": "responses_api_agents", "name": f"{environment}_agent"}}
        for environment in _PLANS
        for task in tasks(environment)
    ]
    rows, output = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    rows.write_text("".join(json.dumps(task) + "\n" for task in given))

    result = gym("eval", "run", "--no-serve", "--head-url", servers["head"], "-i", rows, "-o", output)

    assert result.returncode == 0, result.stderr
    found = [line["reward"] for line in sorted(read_rows(output), key=lambda line: line["_ng_task_index"])]
    ours = [await rewards_here(environment) for environment in _PLANS]
    assert found == [reward for rewards in ours for _, reward in sorted(rewards.items())]
