"""`SingleRollouts`: one rollout per call, each with a model of its own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nemo_gym.models.baselines import RandomModel
from nemo_gym.models.policies import Sampled, Sampling
from nemo_gym.models.policies.model import PolicyModel
from nemo_gym.training.single_rollouts import SingleRollouts
from nemo_gym.wire.errors import UsageError
from tests.support.adder import Adder, solve
from tests.support.policies import ScriptedPolicy


def row(a: int) -> dict[str, Any]:
    return next(task for task in Adder().tasks("train", 0, None) if task["a"] == a)


class Judged(Adder):
    """It declares a judge, so it has other resources while it is open."""

    asks = ("judge",)


def solver() -> PolicyModel:
    return PolicyModel(ScriptedPolicy(solve))


class Broken(ScriptedPolicy):
    async def generate(self, prompts: list[list[int]], sampling: Sampling) -> list[Sampled]:
        raise RuntimeError("out of memory")


async def test_rollouts_at_the_same_time_ask_each_its_own_policy() -> None:
    single = SingleRollouts(environment=Adder)
    policies = [ScriptedPolicy(solve) for _ in range(4)]
    models = map(PolicyModel, policies)

    rollouts = await asyncio.gather(*(single.collect(row(a), model) for a, model in enumerate(models)))
    await single.aclose()

    assert [one.reward for one in rollouts] == [1.0] * 4
    for rollout, policy in zip(rollouts, policies, strict=True):
        (sequence,) = rollout.sequences
        assert [len(batch) for batch in policy.batches] == [1, 1]
        begin = len(sequence.prompt_ids) + int(sequence.turns[1][0])
        assert policy.batches[1] == [sequence.ids[:begin].tolist()]


async def test_a_policy_that_fails_is_the_failure_of_its_rollout_alone() -> None:
    single = SingleRollouts(environment=Adder)

    bad, good = await asyncio.gather(
        single.collect(row(1), PolicyModel(Broken(solve))), single.collect(row(1), solver())
    )
    await single.aclose()

    assert bad.reward is None
    assert bad.untrainable == "failed"
    assert "out of memory" in str(bad.failure)
    assert good.reward == 1.0


def test_each_event_loop_has_rollouts_of_its_own() -> None:
    single = SingleRollouts(environment=Adder)

    async def collect() -> float | None:
        rollout = await single.collect(row(2), solver())
        await single.aclose()
        return rollout.reward

    assert [asyncio.run(collect()) for _ in range(2)] == [1.0, 1.0]


def test_the_end_of_the_event_loop_closes_the_environment() -> None:
    environment = Judged()
    closed = environment.resources
    single = SingleRollouts(environment=environment, models={"judge": RandomModel()})

    async def collect() -> float | None:
        rollout = await single.collect(row(2), solver())
        assert environment.resources is not closed
        return rollout.reward

    for _ in range(2):
        assert asyncio.run(collect()) == 1.0
        assert environment.resources is closed


async def test_a_wrong_argument_is_an_error_of_every_call() -> None:
    single = SingleRollouts(environment=Adder, settings={"brokn": [1]})

    for _ in range(2):
        with pytest.raises(UsageError, match="Did you mean 'broken'"):
            await single.collect(row(1), solver())
    await single.aclose()


async def test_the_limits_are_those_of_the_model() -> None:
    single = SingleRollouts(environment=Adder)
    policy = ScriptedPolicy(solve)

    rollout = await single.collect(row(1), PolicyModel(policy, max_tokens=5))
    await single.aclose()

    assert policy.sampling[0].max_tokens == 5
    assert rollout.outcome == "max_output_tokens"
    assert rollout.sequences[0].truncated
