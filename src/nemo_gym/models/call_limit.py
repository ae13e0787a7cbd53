"""`LimitedModel`: a model with a limit on the number of calls in progress at once."""

from __future__ import annotations

import asyncio

from nemo_gym.models.base import Model, WrappedModel
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class LimitedModel(WrappedModel):
    """Lets at most `limit` calls of all sessions together through to `inner`; the others wait."""

    def __init__(self, inner: Model, limit: int) -> None:
        super().__init__(inner)
        self._slots = asyncio.Semaphore(limit)

    async def responses(self, params: RequestParams) -> Response:
        async with self._slots:
            return await self.inner.responses(params)
