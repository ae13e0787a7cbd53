"""The retry policy: how often and how long one request is tried."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retry:
    """How long one call keeps trying: at most `attempts` tries, none started after `budget` seconds.

    Waits grow as `base * 2**n` up to `cap` seconds, drawn uniformly from the upper half ("equal jitter", AWS
    Architecture Blog 2015); a Retry-After header is a lower bound.
    """

    attempts: int = 6
    budget: float = 180.0
    base: float = 0.5
    cap: float = 30.0
    threshold: int = 20
    """Failures in a row, of any calls, after which an endpoint counts as down."""

    def wait(self, failures: int, retry_after: float | None) -> float:
        """Seconds to wait after so many failed attempts."""
        step = min(self.cap, self.base * 2.0 ** (failures - 1))
        return max(random.uniform(step / 2, step), retry_after or 0.0)
