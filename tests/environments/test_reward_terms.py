"""Weights and shapes over the reward of a verifier, and the scale that follows from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from nemo_gym.environments.reward_terms import RewardTerms, read_weights
from nemo_gym.stats.reward_scale import RewardScale
from nemo_gym.wire.errors import UsageError, VerifierFault
from nemo_gym.wire.items import assistant
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward, Rollout

PARTS = {"correctness": 1.0, "format": 0.5}
RANGES = {"correctness": (0.0, 1.0), "format": (-1.0, 1.0)}
SCALE = RewardScale(-1.0, 2.0, 2.0, True, RANGES)


def rollout(parts: Mapping[str, float] | None = PARTS, text: str = "4", value: float = 1.5) -> Rollout:
    row: dict[str, Any] = {"_ng_task_index": 0, "_ng_rollout_index": 0}
    usage: Any = {"input_tokens": 1, "output_tokens": 75, "total_tokens": 76}
    return Rollout.scored(row, Response.of([assistant(text)], usage=usage), Reward(value, parts))


def test_a_weight_scales_its_component_and_the_row_keeps_both() -> None:
    terms = RewardTerms.of("correctness=2,format=-0.5")
    row = terms.apply(rollout(), terms.scale_of(SCALE), is_first=True).to_row()
    assert row["reward"] == 1.75
    assert row["reward_components"] == PARTS
    assert row["ng_reward_weights"] == {"correctness": 2.0, "format": -0.5}
    assert "ng_reward_shaping" not in row
    assert Rollout.from_row(row).to_row() == row


def test_a_component_without_a_weight_counts_once() -> None:
    assert RewardTerms.of({"format": 0}).apply(rollout(), SCALE).reward == 1.0


def test_shapes_subtract_in_their_order() -> None:
    terms = RewardTerms.of({"format": 2}, ["format:tag=answer,penalty=0.1", "long:from=50,to=100,penalty=1"])
    shaped = terms.apply(rollout(), terms.scale_of(SCALE))
    assert shaped.reward == pytest.approx(2.0 - 0.1 - 0.5)
    assert shaped.reward_shaping == [
        {"type": "format", "tag": "answer", "penalty": 0.1}
        | {"subtracts": 0.1, "reason": "<answer> is missing or empty"},
        {"type": "long", "from": 50, "to": 100, "penalty": 1.0}
        | {"subtracts": 0.5, "reason": "75 output tokens"},
    ]


def test_shapes_need_no_components() -> None:
    terms = RewardTerms.of(None, "format:tag=answer,penalty=0.25")
    assert terms.apply(rollout(None), terms.scale_of(RewardScale(0, 2, 2, True))).reward == 1.25


@pytest.mark.parametrize(
    ("weights", "shaping", "expected"),
    [
        ({}, [], (-1.0, 2.0, 2.0)),
        ({"correctness": 2.0}, [], (-1.0, 3.0, 3.0)),
        ({"format": -0.5}, [], (-0.5, 1.5, 1.5)),
        ({"format": 0.0}, ["format:tag=a,penalty=0.5"], (-0.5, 1.0, 1.0)),
        ({}, ["format:tag=a,penalty=0.5", "format:tag=b,penalty=1"], (-2.5, 2.0, 2.0)),
    ],
)
def test_the_scale_follows_the_declared_components(
    weights: dict[str, float], shaping: list[str], expected: tuple[float, float, float]
) -> None:
    scale = RewardTerms.of(weights, shaping).scale_of(SCALE)
    assert (scale.low, scale.high, scale.solved_at, scale.declared) == (*expected, True)


def test_solved_keeps_its_place_between_the_ends() -> None:
    scale = RewardTerms.of({"format": 2}).scale_of(RewardScale(-1.0, 2.0, 0.5, True, RANGES))
    assert scale.solved_at == scale.low + (scale.high - scale.low) / 2


@pytest.mark.parametrize("ends", [(0.0, 1.0), (-math.inf, math.inf), (1.0, 1.0)])
def test_without_declared_components_no_reward_is_out_of_range(ends: tuple[float, float]) -> None:
    scale = RewardTerms.of({"a": 3, "b": 0}).scale_of(RewardScale(*ends, 1.0, declared=True))
    assert not scale.declared
    assert not math.isnan(scale.low + scale.solved_at)
    scale.check(1e9)


def test_every_mixture_of_legal_components_is_in_the_range() -> None:
    terms = RewardTerms.of({"correctness": -3, "format": 0.7}, ["format:tag=answer,penalty=2"])
    scale = terms.scale_of(SCALE)
    for correctness in (0.0, 0.3, 1.0):
        for part in (-1.0, 0.1, 1.0):
            parts = {"correctness": correctness, "format": part}
            assert terms.apply(rollout(parts, value=correctness + part), scale).failure is None


def test_an_illegal_component_is_a_failure_of_the_verifier() -> None:
    terms = RewardTerms.of({"format": 2})
    failed = terms.apply(rollout({"correctness": 5.0, "format": 1.0}), terms.scale_of(SCALE))
    assert isinstance(failed.failure, VerifierFault)
    assert (failed.reward, failed.outcome) == (None, "failed")
    assert failed.response is not None


def test_a_component_that_is_not_there_ends_the_run_at_the_first_row_and_later_fails_its_rollout() -> None:
    terms = RewardTerms.of({"formt": 2})
    with pytest.raises(UsageError, match=r"no reward component 'formt'. Did you mean 'format'"):
        terms.scale_of(SCALE)
    with pytest.raises(UsageError, match="Did you mean 'format'"):
        terms.apply(rollout(), RewardScale(), is_first=True)
    with pytest.raises(UsageError, match="no components"):
        terms.apply(rollout(None), RewardScale(), is_first=True)
    assert isinstance(terms.apply(rollout(), RewardScale()).failure, VerifierFault)


def test_a_failed_rollout_stays_as_it_is() -> None:
    failed = Rollout.failed({"_ng_task_index": 0, "_ng_rollout_index": 0}, VerifierFault("broken"))
    assert RewardTerms.of({"x": 2}).apply(failed, SCALE, is_first=True) is failed


@pytest.mark.parametrize(
    "value", ["a", "a=", "a=x", "=1", "a=1,a=2", "a=nan", "a=inf", {"a": None}, {"a": True}, {"a": 1e300}, 3]
)
def test_a_wrong_weight_is_refused(value: object) -> None:
    with pytest.raises(UsageError, match="reward_weights"):
        read_weights(value)


def test_weights_are_read_from_texts_and_mappings() -> None:
    assert read_weights(" a=1, b = -2e-1 ") == read_weights({"a": 1, "b": "-0.2"}) == {"a": 1.0, "b": -0.2}
    assert not RewardTerms.of("", [])
