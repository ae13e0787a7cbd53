"""Rollouts one at a time, each with a model of its own, for trainers that ask for one rollout per call."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from nemo_gym.models.base import Model
from nemo_gym.training.collected import CollectedRollout
from nemo_gym.training.rollout_models import RolloutModels
from nemo_gym.training.rollouts import Rollouts
from nemo_gym.wire.task import Row


class SingleRollouts:
    """Collects single rollouts in the event loop of the caller, many at the same time.

    The first rollout in an event loop opens a `Rollouts`, which all later ones in this loop use. It stays
    open until `aclose` or the end of the event loop.

    Args:
        arguments: those of `Rollouts`, without a policy and a model.
    """

    def __init__(self, **arguments: Any) -> None:
        self._arguments = arguments
        self._models = RolloutModels()
        self._open: dict[asyncio.AbstractEventLoop, _Open] = {}

    async def collect(self, row: Row, model: Model) -> CollectedRollout:
        """One rollout of a task row, in which `model` answers."""
        return await self._models.collect(await self.opened(), row, model)

    async def opened(self) -> Rollouts:
        """The open `Rollouts` of this event loop.

        Raises:
            GymError: it can't be opened; the next call tries again.
        """
        loop = asyncio.get_running_loop()
        opened = self._open.get(loop)
        if opened is None:
            rollouts, end = loop.create_future(), asyncio.Event()
            task = loop.create_task(self._keep(rollouts, end))
            opened = self._open[loop] = _Open(rollouts, end, task)
        return await asyncio.shield(opened.rollouts)

    async def aclose(self) -> None:
        """Close the `Rollouts` of this event loop."""
        opened = self._open.get(asyncio.get_running_loop())
        if opened is not None:
            opened.end.set()
            await opened.task

    async def _keep(self, opening: asyncio.Future[Rollouts], end: asyncio.Event) -> None:
        """Keep a `Rollouts` open until its end, in a task, which the end of the event loop cancels and waits
        for."""
        try:
            async with Rollouts(model=self._models, **self._arguments) as rollouts:
                opening.set_result(rollouts)
                await end.wait()
        except Exception as error:
            if opening.done():
                raise
            opening.set_exception(error)
        finally:
            del self._open[asyncio.get_running_loop()]


class _Open(NamedTuple):
    rollouts: asyncio.Future[Rollouts]
    end: asyncio.Event
    task: asyncio.Task[None]
