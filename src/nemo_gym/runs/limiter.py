"""How many rollouts may be in flight."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Protocol


class Limiter(Protocol):
    """Decides how many rollouts may run now, from the rollouts that end."""

    @property
    def limit(self) -> int: ...

    def finished(self, seconds: float) -> None:
        """Called when a rollout of so many seconds ends."""
        ...


class Fixed:
    """Always the same number."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def finished(self, seconds: float) -> None:
        """The limit stays."""


class Adaptive:
    """Grows while the endpoint keeps up, backs off when it pushes back.

    It works in rounds of `limit` rollouts (at least a tenth of a second). A round with more throughput than
    the best so far doubles the limit at first, and raises it by an eighth later. A round without gain keeps
    it; three of them end the doubling. A round with pushbacks (429s, timeouts) lowers the limit by half the
    share of its rollouts that met one: a few 429s cost little, and many halve it (the proportional cut of
    DCTCP, Alizadeh et al. 2010).

    Args:
        pushbacks: how often the model's endpoint has pushed back so far.
        start, most: the first and the largest limit.
    """

    def __init__(self, pushbacks: Callable[[], int], *, start: int = 16, most: int = 4096) -> None:
        self.limit = start
        self._pushbacks = pushbacks
        self._most = most
        self._pushbacks_before = pushbacks()
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
        pushed_back = self._pushbacks() - self._pushbacks_before
        if pushed_back:
            share = min(1.0, pushed_back / self._count)
            lower = int(self.limit * (1.0 - share / 2)) + (share < 1.0)
            self.limit = min(self._most, max(1, lower))
            self._doubling = False
            self._best = 0.0
        else:
            self._grow(self._count / elapsed)
        self._pushbacks_before += pushed_back
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
