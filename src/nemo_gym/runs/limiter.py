"""How many rollouts may be in flight."""

from __future__ import annotations

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
    keeps it; three of them end the doubling. A round in which the endpoint pushed back (429s, timeouts)
    lowers the limit by half the share of its rollouts that met it, so that a few stray 429s cost little and
    a storm halves it (the proportional cut of DCTCP, Alizadeh et al. 2010).

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

    def finished(self, seconds: float) -> None:
        self._count += 1
        elapsed = monotonic() - self._since
        if self._count < self.limit or elapsed < 0.1:
            return
        pushed_back = self._pushbacks() - self._seen
        if pushed_back:
            share = min(1.0, pushed_back / self._count)
            kept = int(self.limit * (1.0 - share / 2)) + (share < 1.0)
            self.limit = min(self._most, max(1, kept))
            self._doubling = False
            self._best = 0.0
        else:
            self._grow(self._count / elapsed)
        self._seen += pushed_back
        self._count = 0
        self._since = monotonic()

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
