"""Runs read back from their files: listed, sampled, and shown as they stand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.environments.rewards import Rewards
from nemo_gym.runs.journal import AppendFile
from nemo_gym.runs.manifest import Identity, Manifest
from nemo_gym.runs.paths import RunPaths
from nemo_gym.runs.report import report_on, runs_in
from nemo_gym.runs.rollout_rows import read_rollout
from nemo_gym.runs.store import RunStore, Selection
from nemo_gym.stats.reward_scale import RewardScale
from nemo_gym.wire.errors import DataError, UsageError


def row(task: int, **more: Any) -> dict[str, Any]:
    params = {"input": [{"role": "user", "content": "?"}]}
    return {"responses_create_params": params, "_ng_task_index": task, "_ng_rollout_index": 0, **more}


def write(path: Path, *rows: dict[str, Any]) -> None:
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))


def saved(folder: Path, name: str = "out", *, scale: RewardScale | None = None, **facts: Any) -> RunPaths:
    """A run of six tasks: three scored, two failed (one of them scored later)."""
    paths = RunPaths.of(folder / f"{name}.jsonl")
    identity = Identity({"ref": "mcqa"}, {"type": "chat", "name": "m"}, {"name": "tool_loop"}, {}, {})
    manifest = Manifest(identity, 6, "1.0", facts.pop("started_at", 0.0), **facts)
    manifest.rewards = Rewards.of(scale) if scale else None
    manifest.save(paths)
    write(paths.inputs, *(row(task) for task in range(6)))
    write(paths.rollouts, row(0, reward=0.0), row(1, reward=1.0), row(2, reward=0.0))
    failure = {"_ng_failure_class": "verifier_error", "_ng_failure_error": "verify raised"}
    write(paths.failures, row(2, **failure), row(3, **failure), row(3, **failure, ng_outcome="failed"))
    return paths


def test_a_run_that_nobody_writes_to_is_not_running_any_more(tmp_path: Path) -> None:
    paths = saved(tmp_path)
    assert report_on(paths.rollouts).manifest.status == "interrupted"
    assert [run.manifest.status for run in runs_in(tmp_path)[0]] == ["interrupted"]

    writer = AppendFile(paths.rollouts)
    assert report_on(paths.rollouts).manifest.status == "running"
    writer.close()
    saved(tmp_path, status="complete")
    assert report_on(paths.rollouts).manifest.status == "complete"


def test_the_scale_of_rewards_is_that_of_the_manifest(tmp_path: Path) -> None:
    halfway = saved(tmp_path, scale=RewardScale(0.0, 2.0, 1.0, declared=True))
    assert report_on(halfway.rollouts).summary.pass_at == pytest.approx({1: 100 / 3})
    top = saved(tmp_path, scale=RewardScale(0.0, float("inf"), 2.0, declared=True))
    assert report_on(top.rollouts).summary.pass_at == {1: 0.0}


def test_runs_are_listed_latest_first_and_unreadable_ones_are_named(tmp_path: Path) -> None:
    saved(tmp_path, "old", started_at=1.0)
    saved(tmp_path, "new", started_at=2.0)
    (tmp_path / "bad_manifest.json").write_text("{")
    runs, problems = runs_in(tmp_path)
    assert [(run.output.name, run.scored, run.mean_reward) for run in runs] == [
        ("new.jsonl", 3, None),
        ("old.jsonl", 3, None),
    ]
    assert ["bad_manifest.json: not a run manifest" in problem for problem in problems] == [True]
    with pytest.raises(UsageError, match="there is no such folder"):
        runs_in(tmp_path / "nowhere")


def test_rollouts_are_drawn_by_reward_and_failure(tmp_path: Path) -> None:
    output = saved(tmp_path).rollouts

    def drawn(**choice: Any) -> tuple[list[int], int]:
        rows, of = RunStore(output).sample(choice.pop("count", 9), Selection(**choice))
        return [read_rollout(row).task_index for row in rows], of

    assert drawn() == ([0, 1, 2], 3)
    assert drawn(reward=0.0) == ([0, 2], 2)
    assert drawn(scored=False, failed=True) == ([3], 1), "one that was scored later is no failure"
    assert drawn(failed=True, reward=0.0) == ([0, 2, 3], 3)
    assert drawn(reward=7.0) == ([], 0)
    few, of = drawn(count=2)
    assert (len(few), of) == (2, 3)
    assert drawn(count=2) == (few, of), "the same draw each time"
    (last,), _ = RunStore(output).sample(1, Selection(scored=False, failed=True))
    assert read_rollout(last).outcome == "failed"


@pytest.mark.parametrize("repeat", [1 << 62, 1 << 20, -1])
def test_a_huge_repeat_number_takes_no_memory(tmp_path: Path, repeat: int) -> None:
    paths = saved(tmp_path)
    write(paths.rollouts, {**row(0, reward=1.0), "_ng_rollout_index": repeat})
    with pytest.raises(UsageError, match=r"out\.jsonl:1: "):
        report_on(paths.rollouts)


@pytest.mark.parametrize(
    "odd",
    [
        {"ng_timing": {"total_s": "long"}},
        {"ng_timing": 5},
        {"ng_outcome": ["x"]},
        {"reward_components": [1]},
        {"response": 7},
        {"response": {"output": [{"type": "message"}]}},
        {"responses_create_params": []},
        {"responses_create_params": {"input": [5]}},
        {"ng_tool_calls": "x"},
    ],
)
def test_an_odd_row_is_one_line_when_it_is_to_be_shown(tmp_path: Path, odd: dict[str, Any]) -> None:
    paths = saved(tmp_path)
    write(paths.rollouts, {**row(0, reward=1.0), **odd})
    with pytest.raises(DataError, match=r"out\.jsonl: task 0, repeat 0 can't be shown: ") as caught:
        RunStore(paths.rollouts).rollout(0, 0)
    assert "\n" not in str(caught.value)
