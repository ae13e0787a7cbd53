"""Tasks whose prompts say what the model is to do, and the rewards that our environments give for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from conftest import read_rows

import nemo_gym
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.wire.rollout import Rollout

HERE = Path(__file__).parent
SCRIPT = f"{HERE / 'script.py'}:answer"
PEERS = HERE.parents[1] / "benchmarks" / ".peers"
ORIGINAL = PEERS / "nemo-gym" / "bin" / "python"
ENVIRONMENTS = ("mcqa", "example_session_state_mgmt", "example_multi_step")
"""Environments that the original package has too."""

Row = dict[str, Any]
Rewards = dict[int, float | None]


def tasks(environment: str) -> list[Row]:
    """Rows with a plan for the model as the last line of their prompt; every other plan earns nothing.

    They are the original's own examples, but for the office, which is furnished differently there.
    """
    rows = _office_rows() if environment == "workplace_assistant" else _original_rows(environment)
    plan = _PLANS[environment]
    return [_with_plan(row, plan(row, right=number % 2 == 0)) for number, row in enumerate(rows)]


def tasks_for_agents(suffix: str) -> list[Row]:
    """The tasks of all `ENVIRONMENTS`, each naming the agent of its environment."""
    return [
        {**task, "agent_ref": {"type": "responses_api_agents", "name": f"{environment}{suffix}"}}
        for environment in ENVIRONMENTS
        for task in tasks(environment)
    ]


async def rewards_here(environment: str) -> Rewards:
    """What our own environment gives for the same rows and the same model."""
    model = ScriptedModel(SCRIPT)
    kind = find_environment(environment)
    return by_task([rollout async for rollout in nemo_gym.collect(kind, model, tasks(environment))])


async def rewards_of_all_here() -> list[float | None]:
    """The same for all of `ENVIRONMENTS`, in the order of `tasks_for_agents`."""
    ours = [await rewards_here(environment) for environment in ENVIRONMENTS]
    return [reward for rewards in ours for _, reward in sorted(rewards.items())]


def by_task(rollouts: list[Rollout]) -> Rewards:
    """The rewards; none of the rollouts may have failed."""
    assert [str(rollout.failure) for rollout in rollouts if rollout.failure] == []
    return {rollout.task_index: rollout.reward for rollout in rollouts}


def write_rows(path: Path, rows: Iterable[Row]) -> Path:
    """Write a JSONL file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _original_rows(environment: str) -> list[Row]:
    examples = f"lib/*/site-packages/resources_servers/{environment}/data/example.jsonl"
    (file,) = ORIGINAL.parents[1].glob(examples)
    return read_rows(file)


def _office_rows() -> list[Row]:
    office = find_environment("workplace_assistant")()
    rows: list[Row] = [msgspec.to_builtins(task) for task in islice(office.tasks("example", 1, 8), 8)]
    for row in rows:
        row["responses_create_params"]["tools"] = LocalEnvironment(office).tools
    return rows


def _mcqa(row: Row, *, right: bool) -> list[Any]:
    return [f"It is \\boxed{{{row['expected_answer'] if right else 'Z'}}}."]


def _counter(row: Row, *, right: bool) -> list[Any]:
    """All calls in one answer, so that their order matters."""
    missing = row["expected_count"] - row["initial_count"]
    calls = [["increment_counter", {"count": missing - 1}], ["increment_counter", {"count": 1}]]
    return [[*(calls if right else calls[:1]), ["get_counter_value", {}]], "The counter is set."]


def _synonyms(row: Row, *, right: bool) -> list[Any]:
    row["synonyms"] = row["expected_synonyms"]
    values = row["expected_synonym_values"]
    return [
        *([["get_synonym_value", {"synonym": word}]] for word in row["synonyms"]),
        [["extract_synonym_values", {"synonym_values": values if right else [*values, 1]}]],
        "All handed in.",
    ]


def _office(row: Row, *, right: bool) -> list[Any]:
    """The last call is forgotten, and another is made in its place, where the reward shall be nothing."""
    calls = [[call["name"], json.loads(call["arguments"])] for call in row["ground_truth"]]
    other = ["company_directory_find_email_address", {"name": "Kenji"}]
    done = calls if right else [*calls[:-1], other]
    return [*([call] for call in done), row.get("expected_text", "Done.") if right else "Done."]


_PLANS: dict[str, Callable[..., list[Any]]] = {
    "mcqa": _mcqa,
    "example_session_state_mgmt": _counter,
    "example_multi_step": _synonyms,
    "workplace_assistant": _office,
}


def _with_plan(row: Row, plan: list[Any]) -> Row:
    params = row["responses_create_params"]
    *before, last = params["input"]
    asked = {**last, "content": f"{last['content']}\n{json.dumps(plan)}"}
    return {**row, "responses_create_params": {**params, "input": [*before, asked]}}
