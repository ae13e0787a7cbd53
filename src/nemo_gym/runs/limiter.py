"""How many rollouts may be in flight."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import monotonic
from typing import Protocol


class Limiter(Protocol):
    """Says how many rollouts may run now, and learns from those that end."""

    @property
    def limit(self) -> int: ...

    def finished(self, seconds: float) -> None:
        """A rollout that took so many seconds has ended."""
        ...


class Fixed:
    """Always the same number."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def finished(self, seconds: float) -> None:
        """Nothing to learn."""


class Adaptive:
    """Grows while the endpoint keeps up, backs off when it pushes back.

    Works in rounds of `limit` finished rollouts (at least a tenth of a second). A round with more throughput
    than the best so far raises the limit: doubling it at first, then by an eighth. A round without gain
    keeps it; three of them end the doubling. A 429 or timeout cuts it to 0.7 of what it was, unless the
    rollout that met it began before the last cut (additive increase, multiplicative decrease: Chiu and Jain
    1989).

    Args:
        pushbacks: the model's count of "slower" answers so far.
        start, most: first and largest limit.
    """

    def __init__(self, pushbacks: Callable[[], int], *, start: int = 16, most: int = 4096) -> None:
        self.limit = start
        self._pushbacks = pushbacks
        self._most = most
        self._seen = pushbacks()
        self._doubling = True
        self._best = 0.0
        self._flat_rounds = 0
        self._count = 0
        self._since = monotonic()
        self._cut_at = -math.inf

    def finished(self, seconds: float) -> None:
        self._count += 1
        now = monotonic()
        if self._pushbacks() != self._seen:
            if now - self._cut_at >= seconds:
                self._cut(now)
        elif self._count >= self.limit and now - self._since >= 0.1:
            self._grow(self._count / (now - self._since))
        else:
            return
        self._seen = self._pushbacks()
        self._count = 0
        self._since = now

    def _cut(self, now: float) -> None:
        self.limit = max(1, int(self.limit * 0.7))
        self._cut_at = now
        self._doubling = False
        self._best = 0.0

    def _grow(self, rate: float) -> None:
        if rate > self._best * 1.05:
            self._best = rate
            self._flat_rounds = 0
            step = self.limit if self._doubling else max(1, self.limit // 8)
            self.limit = min(self._most, self.limit + step)
        else:
            self._flat_rounds += 1
            if self._flat_rounds == 3:
                self._doubling = False
