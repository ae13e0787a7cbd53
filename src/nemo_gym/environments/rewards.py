"""The rewards that an environment declares: their range and scale."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import msgspec

from nemo_gym.stats.reward_scale import RewardScale
from nemo_gym.wire.errors import UsageError

if TYPE_CHECKING:
    from nemo_gym.environments.base import Environment


class Rewards(msgspec.Struct, frozen=True, omit_defaults=True):
    """A `RewardScale` as JSON, which has no infinite numbers."""

    low: float | None
    high: float | None
    solved_at: float
    declared: bool
    components: dict[str, tuple[float, float]] = {}

    @classmethod
    def of(cls, scale: RewardScale) -> Rewards:
        low, high = (end if math.isfinite(end) else None for end in (scale.low, scale.high))
        return cls(low, high, scale.solved_at, scale.declared, dict(scale.components))

    @property
    def scale(self) -> RewardScale:
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return RewardScale(low, high, self.solved_at, self.declared, self.components)


def reward_scale(environment: Environment) -> RewardScale:
    """The scale that an environment declares for its rewards.

    Raises:
        UsageError: the declaration is not valid.
    """
    name = environment.name()
    low, high = _ends(environment.reward_range, name)
    solved_at: Any = high if environment.solved_at is None else environment.solved_at
    if not _is_number(solved_at) or not low <= solved_at <= high:
        raise UsageError(
            f"environment {name}: solved_at is {environment.solved_at!r}: "
            f"give a reward from {low:g} to {high:g}"
        )
    if math.isinf(solved_at):
        if not low < 1.0:
            raise UsageError(f"environment {name}: reward_range has no top: say solved_at")
        solved_at = 1.0
    return RewardScale(low, high, float(solved_at), _declares_range(environment), _components(environment))


def _components(environment: Environment) -> dict[str, tuple[float, float]]:
    """The range of each component.

    Raises:
        UsageError: one is not valid.
    """
    components: Any = environment.reward_components
    name = environment.name()
    if not isinstance(components, Mapping):
        raise UsageError(f"environment {name}: reward_components: expected a range for each name")
    ranges = {
        str(part): _ends(ends, name, f"reward_components[{part!r}]")
        for part, ends in cast("Mapping[str, Any]", components).items()
    }
    for part, ends in ranges.items():
        if not all(map(math.isfinite, ends)):
            raise UsageError(f"environment {name}: reward_components[{part!r}]: give finite numbers")
    return ranges


def floor_of(reward_range: tuple[float, float]) -> float:
    """The reward of an answer that is worth nothing: the lower end of the range, or 0 inside of it."""
    low, high = reward_range
    return max(low, min(0.0, high))


def pays(reward: float, reward_range: tuple[float, float]) -> bool:
    """Whether a reward is more than an answer without content may earn."""
    floor = floor_of(reward_range)
    return reward > floor + _TOLERANCE * (reward_range[1] - floor)


_TOLERANCE = 0.05
"""The part of the range above its floor that counts as nothing."""


def _declares_range(environment: Environment) -> bool:
    """Whether a class of the author, or the object itself, sets `reward_range`."""
    kinds = type(environment).__mro__
    own = [kind for kind in kinds if kind.__module__ != "nemo_gym.environments.base"]
    return any("reward_range" in vars(one) for one in (environment, *own))


def _ends(declared: Any, name: str, what: str = "reward_range") -> tuple[float, float]:
    ends = cast("tuple[Any, ...]", declared if isinstance(declared, tuple | list) else ())
    if len(ends) != 2 or not all(map(_is_number, ends)) or not ends[0] <= ends[1]:
        raise UsageError(f"environment {name}: {what} is {declared!r}: give two numbers, the lowest first")
    return float(ends[0]), float(ends[1])


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, int | float) and not math.isnan(value)
    except OverflowError:
        return False
