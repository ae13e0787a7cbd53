"""`RewardScale`: the range of a reward, and the reward from which a task counts as solved."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from nemo_gym.wire.errors import VerifierFault


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
        return 1e-9 * max([1.0, *ends])

    def check(self, reward: float, what: str = "verify returned") -> None:
        """Nothing, when the reward lies on the scale, or no range is declared.

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
