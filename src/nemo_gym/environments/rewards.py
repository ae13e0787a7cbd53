"""`RewardScale`: what the rewards of an environment can be, and from which on a task counts as solved."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from nemo_gym.wire.errors import UsageError, VerifierFault

if TYPE_CHECKING:
    from nemo_gym.environments.base import Environment


@dataclass(frozen=True, slots=True)
class RewardScale:
    """The lowest and the highest reward, and the lowest that means solved."""

    low: float = 0.0
    high: float = 1.0
    solved_at: float = 1.0
    declared: bool = False
    """Whether the author declared the range: then a reward outside is a fault."""

    @property
    def slack(self) -> float:
        """How far a sum of floating-point numbers may miss an end of the scale."""
        ends = [abs(end) for end in (self.low, self.high) if math.isfinite(end)]
        return 1e-9 * max(1.0, *ends)

    def check(self, reward: float, what: str = "verify returned") -> None:
        """Nothing, when the reward lies on the scale, or nobody declared it.

        Args:
            what: begins the message.

        Raises:
            VerifierFault: it does not.
        """
        if self.low <= reward <= self.high or not self.declared:
            return
        if not self.low - self.slack <= reward <= self.high + self.slack:
            raise VerifierFault(
                f"{what} {reward:g}, outside the declared reward_range {self.low:g} to {self.high:g}: "
                "clamp it, or declare the true range"
            )

    def solves(self, reward: float) -> bool:
        """Whether a reward means that the task is solved."""
        return reward >= self.solved_at - self.slack


UNKNOWN_SCALE: Final = RewardScale()
"""Of an environment that declares nothing about its rewards."""


def reward_scale(environment: Environment) -> RewardScale:
    """What an environment declares about its rewards.

    Raises:
        UsageError: the declaration makes no sense.
    """
    name = environment.name()
    low, high = _ends(environment.reward_range, name)
    solved_at: Any = high if environment.solved_at is None else environment.solved_at
    if not _is_number(solved_at) or not low <= solved_at <= high:
        raise UsageError(
            f"environment {name}: solved_at is {environment.solved_at!r}: "
            f"give a reward from {low:g} to {high:g}"
        )
    solved_at = 1.0 if math.isinf(solved_at) else float(solved_at)
    return RewardScale(low, high, solved_at, _declares_range(environment))


def _declares_range(environment: Environment) -> bool:
    """Whether a class of the author's, or the object itself, says what the range is."""
    kinds = type(environment).__mro__
    own = [kind for kind in kinds if kind.__module__ != "nemo_gym.environments.base"]
    return any("reward_range" in vars(one) for one in (environment, *own))


def _ends(declared: Any, name: str) -> tuple[float, float]:
    ends = cast("tuple[Any, ...]", declared if isinstance(declared, tuple | list) else ())
    if len(ends) != 2 or not all(map(_is_number, ends)) or not ends[0] <= ends[1]:
        raise UsageError(
            f"environment {name}: reward_range is {declared!r}: give two numbers, the lowest first"
        )
    return float(ends[0]), float(ends[1])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not math.isnan(value)
