"""A circuit breaker: while an endpoint is down, one caller tries it and the others wait."""

from __future__ import annotations

import asyncio
from time import monotonic

from nemo_gym.transport.exchange import NoAnswer


class Breaker:
    """Protects an endpoint that is down. After `threshold` failures in a row only one caller at a time tries
    it, at growing intervals; the others wait for the result.

    A caller waits until its own deadline at most. It does not wait once the endpoint has been down for
    `patience` seconds.
    """

    def __init__(self, *, threshold: int = 20, patience: float = 180.0) -> None:
        self.is_open = False
        self._threshold = threshold
        self._patience = patience
        self._failures = 0
        self._reason = ""
        self._opened_at = 0.0
        self._next_probe = 0.0
        self._interval = 1.0
        self._closed = asyncio.Event()

    async def admit(self, give_up: float) -> None:
        """Return when the caller may try.

        Raises:
            NoAnswer: it may not try before its deadline.
        """
        while self.is_open:
            now = monotonic()
            if now >= self._next_probe:
                self._interval = min(30.0, self._interval * 2)
                self._next_probe = now + self._interval
                return
            if now - self._opened_at > self._patience or self._next_probe > give_up:
                down = now - self._opened_at
                raise NoAnswer(f"down for {down:.0f} s; its last failure: {self._reason}", sent=False)
            try:
                async with asyncio.timeout(self._next_probe - now):
                    await self._closed.wait()
            except TimeoutError:
                continue

    def record_success(self) -> None:
        """Note that the endpoint answered."""
        self._failures = 0
        if self.is_open:
            self.is_open = False
            self._closed.set()

    def record_failure(self, reason: str) -> None:
        """Note that the endpoint gave no useful answer."""
        self._failures += 1
        self._reason = reason
        if self._failures == self._threshold and not self.is_open:
            self.is_open = True
            self._closed.clear()
            self._opened_at = monotonic()
            self._interval = 1.0
            self._next_probe = self._opened_at + self._interval
