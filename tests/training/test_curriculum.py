"""`Curriculum`: informative tasks come more often, and no task is forgotten."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_gym.runs.reward_profile import write_profile
from nemo_gym.training import Rollouts
from nemo_gym.training.curriculum import Curriculum, profile_tasks
from nemo_gym.training.flow import GroupFlow, zero_variance
from nemo_gym.training.mixture import Mixture
from nemo_gym.wire.errors import DataError, UsageError
from tests.support.policies import ScriptedPolicy
from tests.training.test_flow import rollouts_of
from tests.training.test_rollouts import Adder, solve

RATES = st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=12)


def test_the_weight_of_a_task_is_the_variance_of_its_reward() -> None:
    curriculum = Curriculum(range(7), [0.0, 0.1, 0.2, 0.5, 0.9, None, 1.0], floor=0.05)

    assert curriculum.weights == pytest.approx([0.05, 0.05, 0.64, 1.0, 0.05, 1.0, 0.05])


def test_tasks_are_drawn_as_often_as_their_weights_say() -> None:
    curriculum = Curriculum(range(5), [0.0, 0.2, 0.5, 0.7, None], floor=0.1)
    drawn = Counter(islice(curriculum, 3580))

    assert [drawn[task] for task in range(5)] == pytest.approx([100, 640, 1000, 840, 1000], abs=3)


@settings(deadline=None)
@given(RATES, st.floats(0.05, 1), st.data())
def test_no_task_starves_whatever_is_observed(rates: list[float | None], floor: float, data: Any) -> None:
    curriculum = Curriculum(range(len(rates)), rates, floor=floor, rate=0.5)
    last = dict.fromkeys(range(len(rates)), 0)
    most = len(rates) * (1 + 1 / floor)
    solved = data.draw(st.lists(st.booleans(), min_size=1, max_size=9))
    for number in range(1, 300):
        task = next(curriculum)
        last[task] = number
        curriculum.observe(task, rollouts_of(float(solved[number % len(solved)])))
        assert all(number - place <= most + 1 for place in last.values())


def test_a_group_moves_the_pass_rate_of_its_task() -> None:
    curriculum = Curriculum(["a", "b", "c"], [0.5, 0.5, None], rate=0.3)
    failed = rollouts_of(0.0)
    failed[0].reward = None

    curriculum.observe("a", rollouts_of(1.0, 1.0, 1.0, 0.0))
    curriculum.observe("b", failed)
    curriculum.observe("c", [*rollouts_of(1.0, 0.0), *failed])
    curriculum.observe("unknown", rollouts_of(1.0))

    assert curriculum.pass_rates == pytest.approx([0.575, 0.5, 0.5])


def test_partly_solved_counts_as_solved_from_where_the_caller_says() -> None:
    curriculum = Curriculum(["a"], solved_at=0.5)
    curriculum.observe("a", rollouts_of(0.5, 0.4))

    assert curriculum.pass_rates == [0.5]


async def test_groups_that_a_filter_leaves_out_are_learnt_from_too() -> None:
    curriculum = Curriculum(range(4), [0.5] * 4, rate=1.0)

    async def collect(task: int) -> Any:
        return rollouts_of(1.0, 0.0) if task == 0 else rollouts_of(0.0, 0.0)

    flow = GroupFlow(collect, curriculum, in_flight=1, filters=[zero_variance])
    groups = await flow.take(3)
    await flow.aclose()

    assert [group.task for group in groups] == [0, 0, 0]
    assert curriculum.pass_rates[0] == 0.5
    assert 0.0 in curriculum.pass_rates


async def test_a_curriculum_in_a_mixture_learns_from_its_own_groups() -> None:
    async with Rollouts(Adder, policy=ScriptedPolicy(solve)) as gym:
        rows = gym.dataset(n=4)
        curriculum = Curriculum(rows)
        mixture = Mixture({"hard": (curriculum, 1.0), "other": (rows, 1.0)})
        flow = mixture.flow({"hard": gym, "other": gym}, repeats=2, in_flight=8)
        await flow.take(8)
        await flow.aclose()

    assert curriculum.pass_rates == [1.0] * 4
    restored = Mixture({"hard": (Curriculum(rows), 1.0), "other": (rows, 1.0)})
    restored.restore(json.loads(json.dumps(mixture.state())))
    assert list(islice(restored, 20)) == list(islice(mixture, 20))


@given(RATES, st.integers(0, 40))
def test_a_curriculum_goes_on_from_its_state(rates: list[float | None], before: int) -> None:
    curriculum = Curriculum(range(len(rates)), rates, seed=7)
    for task in islice(curriculum, before):
        curriculum.observe(task, rollouts_of(float(task % 2), 1.0))
    state = json.loads(json.dumps(curriculum.state()))

    restored = Curriculum(range(len(rates)))
    restored.restore(state)

    assert list(islice(restored, 50)) == list(islice(curriculum, 50))


def test_the_order_follows_from_the_seed() -> None:
    def first(seed: int) -> list[int]:
        return list(islice(Curriculum(range(20), seed=seed), 20))

    assert first(1) == first(1)
    assert first(1) != first(2)
    assert sorted(first(1)) == list(range(20))


def test_rows_are_known_again_after_they_were_saved() -> None:
    rows = [{"q": place, "opts": {"b": 1, "a": 2}} for place in range(3)]
    curriculum = Curriculum([*rows, rows[0]], [0.5, 0.5, 0.5, 0.1])

    curriculum.observe({"opts": {"a": 2, "b": 1}, "q": 2}, rollouts_of(1.0))

    assert curriculum.pass_rates == pytest.approx([0.5, 0.5, 0.65])


def test_a_reward_profile_gives_tasks_and_pass_rates(tmp_path: Path) -> None:
    agent = {"type": "responses_api_agents", "name": "solver"}
    rewards = {0: [1.0, 0.0], 1: [0.5, 0.5, 1.0, 0.5], 2: []}
    stamps = {
        task: [{"_ng_task_index": task, "_ng_rollout_index": n, "agent_ref": agent} for n in range(4)]
        for task in rewards
    }
    planned = [
        {**stamp, "q": f"q{task}", "_ng_rollout_id": f"id{task}"}
        for task, all_of in stamps.items()
        for stamp in all_of
    ]
    scored = [
        {**stamp, "reward": reward, "response": {}}
        for task, values in rewards.items()
        for stamp, reward in zip(stamps[task], values, strict=False)
    ]
    for name, rows in (("in", planned), ("out", scored)):
        (tmp_path / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    profile = write_profile(tmp_path / "in.jsonl", tmp_path / "out.jsonl", partial=True)

    tasks, rates = profile_tasks(profile.tasks)

    assert tasks == [{"q": "q0"}, {"q": "q1"}, {"q": "q2"}]
    assert rates == [0.5, 0.25, None]
    assert profile_tasks(profile.tasks, solved_at=0.5)[1] == [0.5, 1.0, None]
    assert next(Curriculum(tasks, rates))["q"] in ("q0", "q1", "q2")
    with pytest.raises(DataError, match="expected a line of a reward profile"):
        profile_tasks(tmp_path / "out.jsonl")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"pass_rates": [0.5]}, "2 tasks has 1 pass rates"),
        ({"pass_rates": [0.5, 1.5]}, "task 1: expected 0 to 1"),
        ({"target": (0.8, 0.2)}, "target: expected two pass rates"),
        ({"floor": 0.0}, "floor: expected above 0"),
        ({"rate": 0.0}, "rate: expected above 0"),
    ],
)
def test_mistakes_are_one_line(arguments: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        Curriculum(["a", "b"], **arguments)
    with pytest.raises(UsageError, match="needs tasks"):
        Curriculum([])
    with pytest.raises(UsageError, match="state is of 1 tasks, and there are 2"):
        Curriculum([1, 2]).restore(Curriculum([1]).state())
