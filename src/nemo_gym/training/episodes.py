"""Rollouts in which the caller is the model, for trainers that run the loop of turns themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from nemo_gym.models.base import Model
from nemo_gym.models.remote import context_overflow
from nemo_gym.training.collected import CollectedRollout
from nemo_gym.wire.errors import ModelError
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response

Turn = RequestParams | CollectedRollout
"""The next request for the model, or the rollout once it has ended."""


class Episode:
    """One rollout, turn by turn: its agent, tools and verifier run here, and the caller answers.

    Args:
        collect: collects the rollout with a model, `RolloutModels.collect` for instance.
    """

    def __init__(self, collect: Callable[[Model], Awaitable[CollectedRollout]]) -> None:
        self._collect = collect
        self._seat = _Seat()
        self._rollout: asyncio.Future[CollectedRollout] | None = None

    async def begin(self) -> Turn:
        """The first request."""
        self._rollout = asyncio.ensure_future(self._collect(self._seat))
        return await self._next()

    async def answer(self, response: Response) -> Turn:
        """Answer the last request; the next one, or the end."""
        self._seat.answers.put_nowait(response)
        return await self._next()

    async def give_up(self) -> CollectedRollout:
        """Answer no more: the rollout is scored as it is, like one that fills its context."""
        while not isinstance(turn := await self.answer(context_overflow(self._seat.name)), CollectedRollout):
            pass
        return turn

    async def aclose(self) -> None:
        """Drop the rollout, unless it has ended, and wait for the end of its session."""
        if self._rollout is not None and not self._rollout.done():
            self._seat.answers.put_nowait(ModelError("the caller closed the episode"))
            await asyncio.wait([self._rollout])

    async def _next(self) -> Turn:
        assert self._rollout is not None
        request = asyncio.ensure_future(self._seat.requests.get())
        await asyncio.wait([request, self._rollout], return_when=asyncio.FIRST_COMPLETED)
        if request.done():
            return request.result()
        request.cancel()
        return self._rollout.result()


class _Seat(Model):
    """Hands every request to the caller of the episode and waits for its answer."""

    name = "caller"

    def __init__(self) -> None:
        self.requests: asyncio.Queue[RequestParams] = asyncio.Queue()
        self.answers: asyncio.Queue[Response | ModelError] = asyncio.Queue()

    async def responses(self, params: RequestParams) -> Response:
        self.requests.put_nowait(params)
        answer = await self.answers.get()
        if isinstance(answer, ModelError):
            raise answer
        return answer
