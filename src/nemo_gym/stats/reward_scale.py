"""`RewardScale`: the range of a reward, and the reward from which a task counts as solved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from nemo_gym.wire.errors import VerifierFault


@dataclass(frozen=True, slots=True)
class RewardScale:
    """The lowest and the highest reward, and the lowest that means solved."""

    low: float = 0.0
    high: float = 1.0
    solved_at: float = 1.0
    declared: bool = False
    """Whether the author declared the range, so that a reward outside is a fault."""
    components: Mapping[str, tuple[float, float]] = field(
        default_factory=dict[str, tuple[float, float]], hash=False
    )
    """The lowest and the highest value of each component; empty where the author declares none."""

    @property
    def slack(self) -> float:
        """How far rounding may move a sum over an end of the scale."""
        ends = [abs(end) for end in (self.low, self.high) if math.isfinite(end)]
        return 1e-9 * max([1.0, *ends])

    def check(self, reward: float, what: str = "verify returned") -> None:
        """Check that a reward is in the range, if one is declared.

        Args:
            what: the beginning of the message.

        Raises:
            VerifierFault: it is not.
        """
        if self.low <= reward <= self.high or not self.declared:
            return
        if not self.low - self.slack <= reward <= self.high + self.slack:
            raise VerifierFault(
                f"{what} {reward:g}, outside the declared reward_range {self.low:g} to {self.high:g}: "
                "clamp it, or declare the true range"
            )


UNKNOWN_SCALE: Final = RewardScale()
"""The scale of an environment that declares none."""
