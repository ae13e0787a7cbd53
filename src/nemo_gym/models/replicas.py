"""One model at several URLs: each session stays with one URL while that URL works."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

from nemo_gym.models.base import Model
from nemo_gym.transport.retry import Retry
from nemo_gym.wire.errors import GymError, ModelDenied, ModelError, RateLimited
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response

ONE_TRY: Final = Retry(attempts=1, budget=0.0, threshold=3)
"""The retries of one replica: a failed call is not repeated there. After three failures in a row the replica
gets only a probe now and then."""


class ReplicatedModel(Model):
    """Several copies of one model.

    The session's id decides which replica is its home, so that the prefix of all its turns is in one cache.
    When the home fails, this call and later ones go to the next replica that works, until a probe shows that
    the home works again. A replica that is only busy (429) is waited for.

    Args:
        urls: base URLs.
        build: builds the model at one URL, with the `Retry` to use there.
        retry: the retries of one call. One try asks every replica in turn. Most tries are quick, so there are
            more of them than for a single endpoint.
    """

    def __init__(
        self, urls: Sequence[str], build: Callable[[str, Retry], Model], *, retry: Retry | None = None
    ) -> None:
        self._replicas = [build(url, ONE_TRY) for url in urls]
        self._retry = retry or Retry(attempts=10)
        self._calls = 0
        self.name = self._replicas[0].name

    @property
    def pushbacks(self) -> int:
        return sum(replica.pushbacks for replica in self._replicas)

    def for_session_id(self, session_id: str) -> Model:
        return _AtHome(self, home_index(session_id, len(self._replicas)))

    async def responses(self, params: RequestParams) -> Response:
        self._calls += 1
        return await self.ask(params, self._calls % len(self._replicas))

    async def ask(self, params: RequestParams, home: int) -> Response:
        """One model call, answered by the replica at `home` if that one works.

        Raises:
            ModelError: the error of the last replica, when the retry budget is spent.
        """
        give_up = monotonic() + self._retry.budget
        rounds = 0
        failure: ModelError | None = None
        try:
            while True:
                answer = await self._round(params, home)
                if isinstance(answer, Response):
                    return answer
                failure = answer
                rounds += 1
                wait = self._retry.wait(rounds, failure.retry_after)
                if rounds >= self._retry.attempts or monotonic() + wait > give_up:
                    raise failure
                await asyncio.sleep(wait)
        except asyncio.CancelledError as cancelled:
            cancelled.__cause__ = cancelled.__cause__ or failure
            raise

    async def check(self) -> None:
        """Check the replicas; one that answers is enough."""
        results = await asyncio.gather(*(each.check() for each in self._replicas), return_exceptions=True)
        problems = [result for result in results if isinstance(result, BaseException)]
        if len(problems) == len(self._replicas):
            raise GymError("; ".join(str(problem) for problem in problems))

    async def aclose(self) -> None:
        for replica in self._replicas:
            await replica.aclose()

    async def _round(self, params: RequestParams, home: int) -> Response | ModelError:
        """The answer, or the last error when no replica answers."""
        failure: ModelError | None = None
        for step in range(len(self._replicas)):
            replica = self._replicas[(home + step) % len(self._replicas)]
            try:
                return await replica.responses(params)
            except ModelError as error:
                if error.terminal or isinstance(error, ModelDenied):
                    raise
                failure = error
                if isinstance(error, RateLimited):
                    break
        assert failure is not None
        return failure


def home_index(session_id: str, count: int) -> int:
    """Which of `count` replicas a session belongs to: the first 8 bytes of the SHA-256 of its id, big endian,
    modulo `count`."""
    return int.from_bytes(hashlib.sha256(session_id.encode()).digest()[:8], "big") % count


class _AtHome(Model):
    """The model as one session sees it."""

    def __init__(self, replicas: ReplicatedModel, home: int) -> None:
        self.name = replicas.name
        self._replicas = replicas
        self._home = home

    @property
    def pushbacks(self) -> int:
        return self._replicas.pushbacks

    async def responses(self, params: RequestParams) -> Response:
        return await self._replicas.ask(params, self._home)
