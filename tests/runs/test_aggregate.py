"""Metrics of rows at hand, and what an environment's own hooks add, here and in a run's file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nemo_gym import Environment, Response, Session
from nemo_gym.runs.aggregate import aggregate_rows
from nemo_gym.runs.environment_metrics import OwnMetrics
from nemo_gym.runs.metrics import MetricsAccumulator
from nemo_gym.wire.errors import GymError, UsageError


class Hooked(Environment):
    """Adds a metric per run and one per task, and looks at one of them first."""

    def verify(self, task: Any, response: Response, session: Session) -> float:
        return 0.0

    def compute_metrics(self, tasks: list[list[dict[str, Any]]]) -> dict[str, Any]:
        per_task = [{"_ng_task_index": rows[0]["_ng_task_index"], "repeats": len(rows)} for rows in tasks]
        return {"tasks_seen": len(tasks), "keys": sorted(tasks[0][0]), "per_task_metrics": per_task}

    def get_key_metrics(self, agent_metrics: dict[str, Any]) -> dict[str, Any]:
        return {"tasks_seen": agent_metrics["tasks_seen"]}


def row(task: int, reward: float, **more: Any) -> dict[str, Any]:
    return {"_ng_task_index": task, "reward": reward, **more}


def test_rows_without_a_rollout_index_are_numbered_as_they_come():
    found = aggregate_rows([row(1, 1.0), row(0, 0.0), row(1, 0.0)])

    groups = found["group_level_metrics"]
    assert [group["_ng_task_index"] for group in groups] == [0, 1]
    assert [info["rollout_id"] for info in groups[1]["rollout_infos"]] == ["1:0", "1:1"]
    assert found["key_metrics"]["mean/reward"] == pytest.approx(1 / 3)
    assert groups[0]["sample"] == {"agent_ref": {"name": "agent"}}


def test_no_rows_are_no_metrics():
    assert aggregate_rows([]) == {"group_level_metrics": [], "agent_metrics": {}, "key_metrics": {}}


@pytest.mark.parametrize("more", [{"reward": 1.0}, {"_ng_failure_class": "run_error"}])
@pytest.mark.parametrize("index", [None, "0", 1.5, True, [], -1, 1 << 80])
def test_a_row_without_a_task_index_is_named(index, more):
    with pytest.raises(UsageError, match="_ng_task_index"):
        aggregate_rows([{"_ng_task_index": index, **more}])


def test_failures_count_in_the_coverage_alone():
    failures = [{"_ng_task_index": task, "_ng_failure_class": "run_error"} for task in (0, 2)]

    found = aggregate_rows([row(0, 1.0), *failures])

    assert found["key_metrics"] == {"mean/reward": 1.0}
    metrics = found["agent_metrics"]
    assert {name: metrics[f"coverage/{name}"] for name in ("requested", "scored", "failed", "pending")} == {
        "requested": 3, "scored": 1, "failed": 2, "pending": 0
    }  # fmt: skip
    counts = [
        (group["num_rollouts"], group["missing_num_rollouts"]) for group in found["group_level_metrics"]
    ]
    assert counts == [(1, 1), (0, 1)]
    assert aggregate_rows(failures) == aggregate_rows([])


def test_an_environments_own_metrics_are_merged_and_trajectories_kept_from_it():
    rows = [
        row(0, 1.0, response={"usage": {"output_tokens": 3}, "output": []}, responses_create_params={}),
        row(0, 0.0, response={"usage": None}),
        row(1, 1.0),
    ]

    found = aggregate_rows(rows, hooks=Hooked())

    assert found["agent_metrics"]["tasks_seen"] == 2
    assert found["agent_metrics"]["mean/reward"] == pytest.approx(2 / 3)
    assert found["agent_metrics"]["keys"] == [
        "_ng_rollout_index", "_ng_task_index", "agent_ref", "response", "reward"
    ]  # fmt: skip
    assert "per_task_metrics" not in found["agent_metrics"]
    assert [group["repeats"] for group in found["group_level_metrics"]] == [2, 1]
    assert found["key_metrics"] == {"tasks_seen": 2}


def test_a_hook_that_raises_says_which():
    class Broken(Hooked):
        def compute_metrics(self, tasks: list[list[dict[str, Any]]]) -> dict[str, Any]:
            raise ZeroDivisionError("nothing")

    with pytest.raises(GymError, match="compute_metrics raised ZeroDivisionError: nothing"):
        aggregate_rows([row(0, 1.0)], hooks=Broken())


def test_the_metrics_file_of_a_run_has_them_too(tmp_path: Path):
    metrics = MetricsAccumulator(own=OwnMetrics(Hooked()))
    metrics.add(row(0, 1.0, _ng_rollout_index=0, agent_ref={"name": "a"}))

    metrics.write(tmp_path / "m.json")

    (agent,) = json.loads((tmp_path / "m.json").read_bytes())
    assert agent["key_metrics"] == {"tasks_seen": 1}
    assert agent["group_level_metrics"][0]["repeats"] == 1


HOOKED = '''
from nemo_gym import Environment
class Counted(Environment):
    """Scores one."""
    def verify(self, task, response, session):
        return 1.0
    def compute_metrics(self, tasks):
        return {"my_own": len(tasks)}
'''


def test_a_run_asks_the_environment(gym, tmp_path: Path):
    (tmp_path / "counted.py").write_text(HOOKED)
    (tmp_path / "tasks.jsonl").write_text('{"responses_create_params": {"input": "x"}}\n' * 2)

    ended = gym(
        "run", "counted.py", "--input", "tasks.jsonl", "--model-type", "random", "--output", "out.jsonl",
        cwd=tmp_path,
    )  # fmt: skip

    assert ended.returncode == 0, ended.stderr
    (agent,) = json.loads((tmp_path / "out_aggregate_metrics.json").read_bytes())
    assert agent["agent_metrics"]["my_own"] == 2, "identical rows are two tasks"
