"""Stored trajectories scored again: which are planned, and where the new rows go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import ECHO, StartServer, read_rows

from nemo_gym.runs.append import append_run
from nemo_gym.runs.component_specs import EnvironmentSpec, ModelSpec
from nemo_gym.runs.paths import RunPaths
from nemo_gym.runs.recorded_plan import RecordedPlan
from nemo_gym.runs.run import Job, Run
from nemo_gym.runs.scorer_environments import Scorers, check_modes
from nemo_gym.wire.errors import DataError, UsageError


def stamped(task: int, repeat: int = 0, agent: str = "solver", **more: Any) -> dict[str, Any]:
    ref = {"type": "responses_api_agents", "name": agent}
    return {"_ng_task_index": task, "_ng_rollout_index": repeat, "agent_ref": ref, **more}


def asked(task: int, repeat: int = 0, **more: Any) -> dict[str, Any]:
    params = {"input": [{"role": "user", "content": "?"}]}
    options = [{"A": "one"}, {"B": "two"}]
    row = {"responses_create_params": params, "options": options, "expected_answer": "B"}
    return {**stamped(task, repeat, **more), **row}


def answered(task: int, repeat: int = 0, letter: str = "B", **more: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": rf"\boxed{{{letter}}}", "annotations": []}]
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": content}
    response = {"id": "r", "output": [message], "usage": None}
    return {**stamped(task, repeat), "response": response, "reward": 0.25, **more}


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def plan(folder: Path, **more: Any) -> RecordedPlan:
    return RecordedPlan(inputs=folder / "in.jsonl", recordings=folder / "out.jsonl", **more)


def planned(made: RecordedPlan) -> list[tuple[int, int]]:
    rows = map(json.loads, made.lines())
    return [(row["_ng_task_index"], row["_ng_rollout_index"]) for row in rows]


async def scored(made: RecordedPlan, output: Path, scorer: EnvironmentSpec) -> list[dict[str, Any]]:
    job = Job(environment=scorer, model=ModelSpec("none"), agent=made.agent, plan=made, output=output)
    run = Run(job)
    await run.prepare()
    await run.collect()
    return sorted(read_rows(output), key=lambda row: (row["_ng_task_index"], row["_ng_rollout_index"]))


def test_inputs_with_a_rollout_are_planned_in_order_with_their_stamps(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", *(asked(task, repeat) for task in (0, 1, 2) for repeat in (0, 1)))
    write(
        tmp_path / "out.jsonl", answered(2), answered(0, 1), answered(1), stamped(1, 1, _ng_failure_class="x")
    )
    assert planned(plan(tmp_path)) == [(0, 1), (1, 0), (2, 0)]
    assert planned(plan(tmp_path, limit=2)) == [(0, 1), (1, 0)]
    done = write(tmp_path / "done.jsonl", answered(0, 1), stamped(2, _ng_failure_class="x"))
    assert planned(plan(tmp_path, scored=(done, tmp_path / "none.jsonl"))) == [(1, 0), (2, 0)]


def test_failures_of_a_class_are_planned_once_and_only_while_they_are_not_scored(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", *(asked(task) for task in range(4)))
    failures = [answered(task, _ng_failure_class="judge_failed") for task in (0, 1, 1, 2)]
    write(tmp_path / "out.jsonl", *failures, stamped(3, _ng_failure_class="model_timeout"))
    done = write(tmp_path / "done.jsonl", answered(0))
    assert planned(plan(tmp_path, failed_as="judge_failed", scored=(done,))) == [(1, 0), (2, 0)]


@pytest.mark.parametrize(
    ("inputs", "rollouts", "problem"),
    [
        ([asked(0), asked(0)], [answered(0)], r"in.jsonl:2: task 0, repeat 0 is here a second time"),
        ([asked(0)], [answered(0), answered(0)], r"out.jsonl:2: task 0, repeat 0 is here a second time"),
        ([asked(0)], [answered(0), answered(3)], r"out.jsonl: task 3 repeat 0: not among the rows"),
        ([asked(0)], [], r"nothing to score again: 0 rollouts in"),
    ],
)
def test_what_can_t_be_joined_is_named(
    tmp_path: Path, inputs: list[dict[str, Any]], rollouts: list[dict[str, Any]], problem: str
) -> None:
    write(tmp_path / "in.jsonl", *inputs)
    write(tmp_path / "out.jsonl", *rollouts)
    with pytest.raises(UsageError, match=problem) as raised:
        planned(plan(tmp_path))
    assert isinstance(raised.value, DataError) == bool(rollouts)


async def test_the_new_row_is_the_input_with_the_recorded_response_and_notes(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", asked(0, 1), asked(0, 2))
    noted = {"_ng_attempt_index": 2, "_ng_rollout_id": "abc", "ng_outcome": "max_steps", "mask_sample": True}
    stale = {"extracted_answer": "Z", "reward_components": {"old": 1.0}}
    write(tmp_path / "out.jsonl", answered(0, 1, **noted, **stale), answered(0, 2, letter="A"))

    first, second = await scored(plan(tmp_path), tmp_path / "new.jsonl", EnvironmentSpec("mcqa"))

    assert (first["reward"], second["reward"]) == (1.0, 0.0)
    assert {name: first[name] for name in noted} == noted
    assert first["extracted_answer"] == "B"
    assert "reward_components" not in first
    assert first["expected_answer"] == "B"
    assert first["response"] == answered(0)["response"]
    assert read_rows(RunPaths.of(tmp_path / "new.jsonl").inputs) == [asked(0, 1), asked(0, 2)]


async def test_a_response_that_can_t_be_used_is_a_failure_of_its_own_row(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", asked(0), asked(1), asked(2))
    write(tmp_path / "out.jsonl", answered(0), stamped(1, response={"output": "x"}), stamped(2, reward=1.0))
    output = tmp_path / "new.jsonl"
    assert len(await scored(plan(tmp_path), output, EnvironmentSpec("mcqa"))) == 1
    failures = read_rows(RunPaths.of(output).failures)
    assert {row["_ng_failure_class"] for row in failures} == {"run_error"}
    assert all("the recorded response can't be used" in row["_ng_failure_error"] for row in failures)


async def test_each_agents_rollouts_are_scored_by_its_own_environment(tmp_path: Path) -> None:
    other = {**asked(1, agent="matcher"), "expected_answer": "A"}
    write(tmp_path / "in.jsonl", asked(0, agent="chooser"), other, asked(2, agent="nobody"))
    write(tmp_path / "out.jsonl", answered(0), answered(1), answered(2))
    scorer = Scorers(agents={"chooser": EnvironmentSpec("mcqa"), "matcher": EnvironmentSpec("string_match")})

    rows = await scored(plan(tmp_path), tmp_path / "new.jsonl", scorer)

    assert [(row["_ng_task_index"], row["reward"]) for row in rows] == [(0, 1.0), (1, 0.0)]
    (failure,) = read_rows(tmp_path / "new_failures.jsonl")
    assert "no environment is known for agent 'nobody'" in failure["_ng_failure_error"]
    assert await check_modes(scorer) == []


async def test_the_servers_among_the_scorers_are_asked_for_their_descriptions(
    start_server: StartServer,
) -> None:
    url, _ = start_server()
    scorer = Scorers(agents={"a": EnvironmentSpec(url=url), "b": EnvironmentSpec("mcqa")})
    described = await scorer.with_description()
    assert described.agents["a"].about == (await scorer.agents["a"].with_description()).about is not None
    assert described.agents["b"] == scorer.agents["b"]


async def test_environments_that_need_more_are_named_once(tmp_path: Path) -> None:
    one = EnvironmentSpec("example_multi_step")
    scorer = Scorers(agents={"a": one, "b": one, "c": EnvironmentSpec("mcqa"), "d": EnvironmentSpec(ECHO)})
    (problem,) = await check_modes(scorer)
    assert problem.startswith("example_multi_step: its reverify mode is 'unsupported'")


async def test_rows_are_appended_once_whatever_is_there(tmp_path: Path) -> None:
    write(tmp_path / "in.jsonl", asked(0), asked(1), asked(2))
    write(tmp_path / "out.jsonl", answered(0), answered(1), answered(2))
    made, target = RunPaths.of(tmp_path / "made.jsonl"), RunPaths.of(tmp_path / "run.jsonl")
    await scored(plan(tmp_path), made.rollouts, EnvironmentSpec("mcqa"))
    kept = answered(1, reward=0.5)
    target.rollouts.write_text(json.dumps(kept))
    target.inputs.write_text(json.dumps(asked(1)) + "\n")
    before = made.rollouts.read_bytes(), made.manifest.read_bytes(), made.inputs.read_bytes()

    append_run(made, target)
    first = target.rollouts.read_bytes()
    for path, content in zip((made.rollouts, made.manifest, made.inputs), before, strict=True):
        path.write_bytes(content)  # as if it had been killed just before the end
    append_run(made, target)

    assert target.rollouts.read_bytes() == first
    assert [row["_ng_task_index"] for row in read_rows(target.rollouts)] == [1, 0, 2]
    assert read_rows(target.rollouts)[0] == kept
    assert len(read_rows(target.inputs)) == 3
    assert json.loads(target.manifest.read_text())["counts"] == {"scored": 3, "failed": 0, "pending": 0}
    assert made.existing() == []
