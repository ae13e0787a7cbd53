"""A model with a limit on the number of calls in progress at once."""

from __future__ import annotations

import asyncio

from nemo_gym.environments.session import Session
from nemo_gym.models.base import Model
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class LimitedModel(Model):
    """Lets at most `limit` calls of all sessions together through to `inner`; the others wait their turn."""

    def __init__(self, inner: Model, limit: int) -> None:
        self.inner = inner
        self.name = inner.name
        self._free = asyncio.Semaphore(limit)

    @property
    def pushbacks(self) -> int:
        return self.inner.pushbacks

    def for_session(self, session: Session) -> Model:
        return _Waiting(self.inner.for_session(session), self._free)

    def for_session_id(self, session_id: str) -> Model:
        return _Waiting(self.inner.for_session_id(session_id), self._free)

    async def responses(self, params: RequestParams) -> Response:
        async with self._free:
            return await self.inner.responses(params)

    async def check(self) -> None:
        await self.inner.check()

    async def aclose(self) -> None:
        await self.inner.aclose()


class _Waiting(Model):
    """The model as one session sees it."""

    def __init__(self, inner: Model, free: asyncio.Semaphore) -> None:
        self.name = inner.name
        self._inner = inner
        self._free = free

    @property
    def pushbacks(self) -> int:
        return self._inner.pushbacks

    async def responses(self, params: RequestParams) -> Response:
        async with self._free:
            return await self._inner.responses(params)
