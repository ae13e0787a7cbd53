"""Rollouts that are judged together: in this process, in workers, from a server, and after a resume."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import read_rows

import nemo_gym as gym_api
from nemo_gym.wire.errors import UsageError
from tests.support.started import Gym

RANKED = """
from nemo_gym import Environment, ask
from nemo_gym.environments.cohorts import Cohorts
from nemo_gym.wire import keys

class Ranked(Environment):
    stateless = False

    def tasks(self, split, seed, n):
        return [{"responses_create_params": ask(str(i)), "number": i} for i in range(4)]

    def __init__(self, config=None):
        super().__init__(config)
        self.cohorts = Cohorts(3, 2, TIMEOUT, self.judge)

    def cohort_size(self, task):
        return 3

    async def judge(self, members):
        return [len(members) / 3 for _ in members]

    async def verify(self, task, response, session):
        return await self.cohorts.join(session.row[keys.TASK_INDEX], response.final_text)

    async def aclose(self):
        await self.cohorts.aclose()
"""
PATIENT = RANKED.replace("TIMEOUT", "600")
"""Waits longer than a test, so that a cohort that is not complete fails the test."""
RUN = ("run", "ranked.py", "--model-type", "random", "-o", "out.jsonl", "--num-repeats", 3)


@pytest.fixture
def gym(tmp_path: Path) -> Iterator[Gym]:
    program = Gym(tmp_path)
    (tmp_path / "ranked.py").write_text(PATIENT)
    yield program
    program.clean()


def rewards(gym: Gym) -> list[float]:
    return [row["reward"] for row in read_rows(gym.folder / "out.jsonl")]


@pytest.mark.parametrize("flags", [(), ("--concurrency", 3), ("--workers", 2, "--concurrency", 6)])
def test_the_repeats_of_a_task_come_together_in_one_process(gym: Gym, flags: tuple[object, ...]) -> None:
    result = gym(*RUN, *flags)
    assert (result.returncode, rewards(gym)) == (0, [1.0] * 12), result.stderr


def test_verify_calls_to_a_server_end_together(gym: Gym) -> None:
    gym.start("ranked.py", "--model-type", "random")
    servers = gym.servers().values()
    url = next(server["url"] for server in servers if server["server_type"] == "resources_servers")
    result = gym(*RUN, "--environment-url", url, "--workers", 2)
    assert (result.returncode, rewards(gym)) == (0, [1.0] * 12), result.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--concurrency", 2), "3 rollouts of it with one another, and only 2 are in flight"),
        (("--concurrency", 5, "--workers", 2), "only 2 are in flight in one process: allow at least 3"),
        (("--num-repeats", 2), "and has 2: give a number of repeats that 3 divides (--num-repeats)"),
        (("--num-repeats", 4), "and has 4"),
    ],
)
def test_a_cohort_that_can_not_be_complete_is_refused_before_the_run(
    gym: Gym, flags: tuple[object, ...], message: str
) -> None:
    result = gym(*RUN, *flags)
    assert (result.returncode, message in result.stderr) == (2, True), result.stderr
    assert not (gym.folder / "out.jsonl").exists()


@pytest.mark.parametrize("options", [{"concurrency": 2, "num_repeats": 3}, {"num_repeats": 1}])
async def test_python_refuses_the_same(gym: Gym, options: Any) -> None:
    with pytest.raises(UsageError, match="compares 3 rollouts"):
        async for _ in gym_api.collect(str(gym.folder / "ranked.py"), "random", **options):
            pass


def test_a_resumed_run_compares_what_is_left_of_a_cohort_at_its_deadline(gym: Gym) -> None:
    """Two rollouts of task 1 are left, one of task 2, all of task 3."""
    assert gym(*RUN).returncode == 0
    path = gym.folder / "out.jsonl"
    keep = {0: 3, 1: 1, 2: 2, 3: 0}
    kept = [row for row in read_rows(path) if row["_ng_rollout_index"] < keep[row["_ng_task_index"]]]
    path.write_text("".join(json.dumps(row) + "\n" for row in kept))
    (gym.folder / "ranked.py").write_text(RANKED.replace("TIMEOUT", "1.0"))
    result = gym(*RUN, "--resume", "--accept-changes", "environment")
    assert result.returncode == 0, result.stderr
    new = sorted((row["_ng_task_index"], row["reward"]) for row in read_rows(path)[len(kept) :])
    assert new == [(1, 2 / 3)] * 2 + [(3, 1.0)] * 3
    failures = read_rows(gym.folder / "out_failures.jsonl")
    assert [(row["_ng_task_index"], row["_ng_failure_class"]) for row in failures] == [(2, "judge_failed")]
