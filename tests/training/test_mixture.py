"""`Mixture`: each source has its share at every moment, also when weights change and after a restart."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.training import Rollouts
from nemo_gym.training.mixture import MixedTask, Mixture, Shuffled
from nemo_gym.wire.errors import UsageError
from tests.support.policies import ScriptedPolicy
from tests.training.test_rollouts import Adder, solve

WEIGHTS = st.lists(
    st.floats(0, 100) | st.sampled_from([0.0, 0.1, 1.0, 1e-6]), min_size=1, max_size=12
).filter(lambda weights: sum(weights) > 0)


def mixture_of(*weights: float, seed: int = 0) -> Mixture:
    return Mixture(
        {f"s{place}": ([f"{place}-{n}" for n in range(3)], weight) for place, weight in enumerate(weights)},
        seed=seed,
    )


def largest_distance(mixture: Mixture, draws: int) -> float:
    total = sum(mixture.weights.values())
    drawn: Counter[str] = Counter()
    largest = 0.0
    for number in range(1, draws + 1):
        drawn[next(mixture).source] += 1
        for name, weight in mixture.weights.items():
            largest = max(largest, abs(drawn[name] - number * weight / total))
    return largest


@given(WEIGHTS, st.integers(1, 80))
def test_every_source_stays_within_one_task_of_its_share(weights: list[float], draws: int) -> None:
    assert largest_distance(mixture_of(*weights), draws) < 1


@given(st.data(), st.integers(1, 6))
def test_it_does_so_again_from_each_change_of_the_weights(data: Any, count: int) -> None:
    weights = st.lists(st.floats(0.01, 10), min_size=count, max_size=count)
    mixture = mixture_of(*data.draw(weights))
    for new in data.draw(st.lists(weights, min_size=1, max_size=3)):
        mixture.weights = {f"s{place}": weight for place, weight in enumerate(new)}
        assert largest_distance(mixture, 30) < 1


def test_many_sources_of_odd_weights_stay_within_one() -> None:
    weights = [1.0, 97.0, *(3.7**k % 11 for k in range(40))]

    assert largest_distance(mixture_of(*weights), 3000) < 1


def test_the_order_follows_from_the_seed() -> None:
    def first(seed: int) -> list[MixedTask]:
        return list(islice(mixture_of(0.7, 0.3, seed=seed), 40))

    assert first(1) == first(1)
    assert first(1) != first(2)
    assert [task.source for task in first(1)] == [task.source for task in first(2)]


def test_every_task_of_a_source_comes_once_before_any_comes_again() -> None:
    shuffled = Shuffled(range(10), seed=3)
    epochs = [list(islice(shuffled, 10)) for _ in range(4)]

    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


@given(st.integers(0, 50), st.integers(0, 50))
def test_a_mixture_goes_on_from_its_state(before: int, later: int) -> None:
    mixture = mixture_of(0.5, 0.3, 0.2)
    list(islice(mixture, before))
    mixture.weights = {"s0": 1, "s1": 0, "s2": 3}
    list(islice(mixture, later))
    state = json.loads(json.dumps(mixture.state()))

    restored = mixture_of(1, 1, 1)
    restored.restore(state)

    assert list(islice(restored, 30)) == list(islice(mixture, 30))
    assert restored.weights == mixture.weights
    assert restored.drawn == mixture.drawn


async def test_one_flow_collects_from_several_environments() -> None:
    class Doubler(Adder):
        async def verify(self, task: Any, response: Any, session: Any) -> float:
            return 2 * float(response.final_text == str(task.a + task.b))

        reward_range = (0.0, 2.0)

    policy = ScriptedPolicy(solve)
    async with Rollouts(Adder, policy=policy) as adder, Rollouts(Doubler, policy=policy) as doubler:
        mixture = Mixture({"add": (adder.dataset(n=8), 0.75), "double": (doubler.dataset(n=4), 0.25)}, seed=1)
        flow = mixture.flow({"add": adder, "double": doubler}, repeats=2, in_flight=8)
        groups = await flow.take(8)
        await flow.aclose()

    rewards = {
        name: {one.reward for group in groups if group.task.source == name for one in group.rollouts}
        for name in ("add", "double")
    }
    assert rewards == {"add": {1.0}, "double": {2.0}}
    assert flow.sources == {"add": 6, "double": 2}
    assert "delivered 8 (add 75.0 %, double 25.0 %)" in flow.summary()
    assert [len(batch) for batch in policy.batches] == [16, 16]


async def test_a_flow_goes_on_with_the_tasks_that_were_pending_in_an_earlier_one() -> None:
    policy = ScriptedPolicy(solve)
    async with Rollouts(Adder, policy=policy) as gym:
        mixture = Mixture({"add": (gym.dataset(n=8), 1.0)})
        flow = mixture.flow({"add": gym}, repeats=1, in_flight=4)
        await flow.take(1)
        saved = json.loads(json.dumps(flow.pending))
        await flow.aclose()
        later = mixture.flow({"add": gym}, repeats=1, in_flight=4, first=saved)
        groups = await later.take(3)
        await later.aclose()

    assert len(saved) == 3
    assert [list(group.task) for group in groups] == saved


async def test_stale_groups_of_a_mixture_are_collected_again() -> None:
    policy = ScriptedPolicy(solve)
    async with Rollouts(Adder, policy=policy) as gym:
        mixture = Mixture({"add": (gym.dataset(n=8), 1.0)})
        flow = mixture.flow({"add": gym}, repeats=1, in_flight=3, max_staleness=0)
        await flow.take(1)
        await gym.update(solve, 3)
        groups = await flow.take(3)
        await flow.aclose()

    assert flow.counts["stale"] == 2
    assert [group.oldest_version for group in groups] == [3, 3, 3]


def test_mistakes_are_one_line() -> None:
    with pytest.raises(UsageError, match="source s1: expected a weight of 0 or more, got -1"):
        mixture_of(1, -1)
    with pytest.raises(UsageError, match="weight above 0"):
        mixture_of(0, 0)
    with pytest.raises(UsageError, match="source a has no tasks"):
        Mixture({"a": ([], 1)})
    with pytest.raises(UsageError, match="source a: expected a list of tasks"):
        Mixture({"a": (iter([1]), 1)})  # type: ignore[dict-item]
    with pytest.raises(UsageError, match="a weight for each"):
        mixture_of(1, 1).weights = {"s0": 1}
    with pytest.raises(UsageError, match="nothing collects the tasks of s0"):
        mixture_of(1).flow({}, repeats=1, in_flight=1)
    with pytest.raises(UsageError, match="state is of 3 tasks, and there are 2"):
        Shuffled([1, 2]).restore(Shuffled([1, 2, 3]).state())
