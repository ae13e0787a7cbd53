"""`RewardTerms`: the weights of reward components and the shapes, which a run sets over its environment."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

import msgspec

from nemo_gym.environments.shaping import Shape, read_shapes
from nemo_gym.stats.reward_scale import RewardScale
from nemo_gym.wire.errors import UsageError, VerifierFault, did_you_mean
from nemo_gym.wire.items import Json
from nemo_gym.wire.rollout import Rollout, finite_reward


class RewardTerms(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the reward of a rollout follows from what the verifier returned. Without weights and shapes, it is
    the verifier's own."""

    weights: dict[str, float] = {}
    """The weights of components; a component that is not named has the weight 1."""
    shapes: tuple[Shape, ...] = ()
    """Subtracted in their order, after the weights."""

    @classmethod
    def of(cls, weights: object = None, shaping: object = None) -> RewardTerms:
        """The terms of settings.

        Args:
            weights: a mapping, or a text such as `correctness=1,format=0.2`.
            shaping: a shape, or several.

        Raises:
            UsageError: one is not valid.
        """
        shapes = list(cast("Iterable[object]", shaping)) if isinstance(shaping, list | tuple) else [shaping]
        return cls(read_weights(weights or {}), read_shapes(shape for shape in shapes if shape is not None))

    def __bool__(self) -> bool:
        return bool(self.weights or self.shapes)

    def public(self) -> dict[str, Any]:
        """What the manifest holds of them; compared on resume."""
        return msgspec.json.decode(msgspec.json.encode(self))

    def scale_of(self, scale: RewardScale) -> RewardScale:
        """The scale of the rewards with these terms.

        Raises:
            UsageError: a weight is for a component that the environment does not declare.
        """
        if not self:
            return scale
        if scale.components:
            self._check_names(scale.components)
        if self.weights:
            scale = self._weighted(scale)
        return replace(scale, low=scale.low - math.fsum(shape.penalty for shape in self.shapes))

    def apply(self, rollout: Rollout, scale: RewardScale, *, is_first: bool = False) -> Rollout:
        """The rollout with its reward under these terms; one that failed stays as it is. A reward to which
        the terms can't be applied is a failure of the verifier.

        Args:
            scale: the result of `scale_of`.
            is_first: whether no rollout before has a reward.

        Raises:
            UsageError: the first reward does not have a component that is named in the weights.
        """
        if rollout.reward is None or rollout.response is None:
            return rollout
        if is_first:
            self._check_names(rollout.components or {})
        try:
            reward, shaping = self._reward(rollout)
            scale.check(reward, "the reward with its weights is")
        except VerifierFault as fault:
            timing, details = rollout.timing, rollout.details
            failed = Rollout.failed(
                rollout.row, fault, partial=rollout.response, details=details, timing=timing
            )
            failed.tool_calls = rollout.tool_calls
            return failed
        rollout.reward = reward
        rollout.reward_weights = self.weights or None
        rollout.reward_shaping = shaping or None
        return rollout

    def _reward(self, rollout: Rollout) -> tuple[float, list[Json]]:
        """The reward, and what each shape subtracts."""
        assert rollout.reward is not None
        assert rollout.response is not None
        parts = rollout.components or {}
        if missing := [name for name in self.weights if name not in parts]:
            raise VerifierFault(f"the verifier returned no component {missing[0]!r}, which has a weight")
        reward = rollout.reward
        if self.weights:
            reward = math.fsum(self.weights.get(name, 1.0) * part for name, part in parts.items())
        shaping: list[Json] = []
        for shape in self.shapes:
            penalty, reason = shape.judge(rollout.response)
            reward -= penalty
            shaping.append({**msgspec.to_builtins(shape), "subtracts": penalty, "reason": reason})
        return finite_reward(reward, "the reward with its weights is"), shaping

    def _check_names(self, names: Iterable[str]) -> None:
        known = sorted(names)
        for name in self.weights:
            if name not in known:
                hint = did_you_mean(name, known) if known else " Its rewards have no components."
                raise UsageError(
                    f"reward_weights: the environment has no reward component {name!r:.80}.{hint}"
                ).about("reward_weights")

    def _weighted(self, scale: RewardScale) -> RewardScale:
        """The scale with the weights. `solved_at` keeps its place between the ends."""
        if scale.components:
            weigh = self.weights.get
            ends = [
                sorted((weigh(name, 1.0) * low, weigh(name, 1.0) * high))
                for name, (low, high) in scale.components.items()
            ]
            low, high = (math.fsum(end) for end in zip(*ends, strict=True))
        else:
            factors = (1.0, *self.weights.values())
            ends = [factor * end for factor in factors for end in (scale.low, scale.high) if factor]
            low, high = min(ends), max(ends)
        width = scale.high - scale.low
        place = (scale.solved_at - scale.low) / width if width and math.isfinite(width) else 1.0
        solved_at = low + place * (high - low) if math.isfinite(high - low) else scale.solved_at
        declared = scale.declared and bool(scale.components)
        return replace(scale, low=low, high=high, solved_at=solved_at, declared=declared)


def read_weights(value: object) -> dict[str, float]:
    """Weights as a mapping, from one or from a text such as `correctness=1,format=0.2`.

    Raises:
        UsageError: a weight is not a finite number.
    """
    if isinstance(value, str):
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        weights: dict[str, Any] = {name.strip(): weight for name, _, weight in pairs}
        if len(weights) < len(pairs):
            raise UsageError(f"reward_weights {value!r:.200}: a name is there twice").about("reward_weights")
    elif isinstance(value, Mapping):
        weights = dict(cast("Mapping[str, Any]", value))
    else:
        raise UsageError(f"reward_weights: expected NAME=WEIGHT, got {value!r:.200}").about("reward_weights")
    return {str(name): _weight(name, weight) for name, weight in weights.items()}


def _weight(name: object, weight: Any) -> float:
    try:
        number = math.nan if isinstance(weight, bool) else float(weight)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not name or not abs(number) <= LARGEST_WEIGHT:
        raise UsageError(
            f"reward_weights: {name!r:.80}: expected a number from {-LARGEST_WEIGHT:g} to "
            f"{LARGEST_WEIGHT:g}, got {weight!r:.80}"
        ).about("reward_weights")
    return number


LARGEST_WEIGHT = 1e9
