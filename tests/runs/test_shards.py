"""Several runs put together as one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import read_rows

from nemo_gym.runs.component_specs import EnvironmentSpec
from nemo_gym.runs.paths import RunPaths
from nemo_gym.runs.shards import aggregate_shards, find_shards
from nemo_gym.wire.errors import DataError, UsageError


def rows(*keys: tuple[int, int], **more: Any) -> str:
    agent = {"type": "responses_api_agents", "name": "solver"}
    stamps = ({"_ng_task_index": task, "_ng_rollout_index": repeat} for task, repeat in keys)
    return "".join(f"{json.dumps({**stamp, 'agent_ref': agent, **more})}\n" for stamp in stamps)


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    (tmp_path / "a.jsonl").write_text(rows((0, 0), (0, 1), reward=1.0, extracted_answer="B"))
    (tmp_path / "b.jsonl").write_text(rows((1, 0), reward=0.0, extracted_answer="C"))
    for name, keys in (("a", [(0, 0), (0, 1)]), ("b", [(1, 0), (1, 1)])):
        (tmp_path / f"{name}_materialized_inputs.jsonl").write_text(rows(*keys))
    (tmp_path / "b_failures.jsonl").write_text(rows((1, 1), _ng_failure_class="run_error"))
    return tmp_path


async def test_all_files_of_the_shards_become_those_of_one_run(shards: Path) -> None:
    target = RunPaths.of(shards / "all.jsonl")

    found = find_shards([f"{shards}/*.jsonl"], target)
    report, notes = await aggregate_shards(found, target, scorer=None, agents=None)

    assert [shard.rollouts.name for shard in found] == ["a.jsonl", "b.jsonl"]
    assert notes == []
    assert [row["_ng_task_index"] for row in read_rows(target.rollouts)] == [0, 0, 1]
    summary = report.summary
    assert (summary.requested, summary.scored, summary.failed, summary.pending) == (4, 3, {"run_error": 1}, 0)
    (entry,) = json.loads(target.metrics.read_text())
    assert entry["agent_metrics"]["mean/reward"] == pytest.approx(2 / 3)
    assert [group["missing_num_rollouts"] for group in entry["group_level_metrics"]] == [0, 1]


async def test_what_an_environment_adds_to_the_metrics_is_there(shards: Path) -> None:
    target = RunPaths.of(shards / "all.jsonl")
    found = find_shards([f"{shards}/a.jsonl, {shards}/b.jsonl"], target)
    await aggregate_shards(found, target, scorer=EnvironmentSpec("mcqa"), agents=None)
    (entry,) = json.loads(target.metrics.read_text())
    assert entry["agent_metrics"]["majority@2/accuracy"] == 100.0


async def test_the_metrics_alone_leave_no_other_file(shards: Path) -> None:
    before = set(shards.iterdir())
    target = RunPaths.of(shards / "all.jsonl")
    found = find_shards([f"{shards}/?.jsonl"], target)
    report, _ = await aggregate_shards(found, target, scorer=None, agents=None, merge=False)
    assert set(shards.iterdir()) - before == {target.metrics}
    assert report.paths == target


async def test_rollouts_that_are_there_twice_are_named_and_nothing_is_written(shards: Path) -> None:
    (shards / "c.jsonl").write_text(rows((5, 0), (0, 1), reward=0.0))
    target = RunPaths.of(shards / "all.jsonl")
    before = set(shards.iterdir())
    found = find_shards([f"{shards}/?.jsonl"], target)
    with pytest.raises(DataError, match=r"a\.jsonl:2 and .*c\.jsonl:2 are both task 0, repeat 1"):
        await aggregate_shards(found, target, scorer=None, agents=None)
    assert set(shards.iterdir()) == before


@pytest.mark.parametrize(("pattern", "problem"), [("none*.jsonl", "no rollouts file matches"), ("", "which")])
def test_a_pattern_that_matches_nothing_is_named(shards: Path, pattern: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        find_shards([pattern], RunPaths.of(shards / "all.jsonl"))
