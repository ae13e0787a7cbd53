"""Reward profiles: what each task came to, beside the task."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import pytest
from conftest import read_rows
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.runs.reward_profile import write_profile
from nemo_gym.wire.errors import DataError

Rewards = dict[tuple[int, int], float]


def stamped(task: int, repeat: int, **more: Any) -> dict[str, Any]:
    agent = {"type": "responses_api_agents", "name": "solver"}
    return {"_ng_task_index": task, "_ng_rollout_index": repeat, "agent_ref": agent, **more}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def files(folder: Path, rewards: Rewards, asked: list[tuple[int, int]] | None = None) -> tuple[Path, Path]:
    planned = list(rewards) if asked is None else asked
    inputs = write(folder / "in.jsonl", [stamped(*key, question=f"q{key[0]}") for key in planned])
    usage = {"usage": {"output_tokens": 5}}
    done = [stamped(*key, reward=reward, response=usage) for key, reward in rewards.items()]
    return inputs, write(folder / "out.jsonl", done)


def test_every_task_has_a_line_with_its_row_and_its_rollouts(tmp_path: Path) -> None:
    made = write_profile(*files(tmp_path, {(1, 1): 1.0, (0, 0): 0.0, (1, 0): 0.0}))

    assert made.tasks == tmp_path / "out_reward_profiling.jsonl"
    first, second = read_rows(made.tasks)
    assert first["sample"] == {"agent_ref": stamped(0, 0)["agent_ref"], "question": "q0"}
    assert (second["_ng_task_index"], second["mean/reward"], second["num_rollouts"]) == (1, 0.5, 2)
    assert [info["rollout_id"] for info in second["rollout_infos"]] == ["1:0", "1:1"]
    assert second["rollout_infos"][1]["output_tokens"] == 5
    (agent,) = json.loads((tmp_path / "out_agent_metrics.json").read_text())
    assert agent["agent_ref"] == {"name": "solver"}
    assert agent["mean/reward"] == pytest.approx(1 / 3)
    assert made.completion.completed_pct == 100.0


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 5), st.integers(0, 3)), st.floats(-5, 5, width=32), min_size=1, max_size=12
    )
)
def test_the_statistics_of_a_task_are_those_of_its_rewards(
    tmp_path_factory: pytest.TempPathFactory, rewards: Rewards
) -> None:
    made = write_profile(*files(tmp_path_factory.mktemp("profile"), rewards))
    for group in read_rows(made.tasks):
        own = [reward for (task, _), reward in rewards.items() if task == group["_ng_task_index"]]
        assert group["mean/reward"] == pytest.approx(statistics.mean(own), abs=1e-9)
        assert (group["min/reward"], group["max/reward"]) == (min(own), max(own))
        deviation = statistics.stdev(own) if len(own) > 1 else 0.0
        assert group["std/reward"] == pytest.approx(deviation, abs=1e-6)


REWARDS: Rewards = {(0, 0): 1.0, (0, 1): 0.0, (1, 0): 1.0}


@pytest.mark.parametrize(
    ("asked", "done", "problem"),
    [
        (
            [*REWARDS, (2, 0)],
            [],
            r"out.jsonl: 1 of the 4 rows of .*in.jsonl have no rollout: task 2 repeat 0",
        ),
        ([(0, 0), (0, 1)], [], r"out.jsonl:3: task 1, repeat 0 belongs to no row"),
        (list(REWARDS), [(0, 1)], r"out.jsonl:4: task 0, repeat 1 is here a second time"),
        ([*REWARDS, (0, 0)], [], r"in.jsonl:4: task 0, repeat 0 is here a second time"),
    ],
)
def test_files_that_do_not_fit_are_named_to_the_line(
    tmp_path: Path, asked: list[tuple[int, int]], done: list[tuple[int, int]], problem: str
) -> None:
    inputs, rollouts = files(tmp_path, REWARDS, asked)
    write(rollouts, [*read_rows(rollouts), *(stamped(*key, reward=0.0) for key in done)])

    with pytest.raises(DataError, match=problem):
        write_profile(inputs, rollouts)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.jsonl"]
    assert write_profile(inputs, rollouts, partial=True).completion.expected_rows == len(set(asked))


def test_a_partial_profile_says_how_much_there_is(tmp_path: Path) -> None:
    asked = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]
    inputs, rollouts = files(tmp_path, {(0, 0): 1.0, (0, 1): 1.0, (1, 0): 0.0, (7, 0): 1.0}, asked)
    write(rollouts, [*read_rows(rollouts), stamped(1, 1, _ng_failure_class="run_error")])

    made = write_profile(inputs, rollouts, partial=True)

    found = made.completion
    assert (found.completed_rows, found.missing_rows, found.extra_rows) == (3, 2, 1)
    assert (found.complete_tasks, found.partial_tasks, found.missing_tasks) == (1, 1, 1)
    assert found.completed_pct == 60.0
    assert [group["num_rollouts"] for group in read_rows(made.tasks)] == [2, 1, 0]
    assert [group["missing_num_rollouts"] for group in read_rows(made.tasks)] == [0, 1, 1]
