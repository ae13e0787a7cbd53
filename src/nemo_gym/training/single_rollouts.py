"""Rollouts one at a time, each with a policy of its own, for trainers that ask for one rollout per call."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from nemo_gym.models.policies.base import Policy
from nemo_gym.models.policies.model import PolicyModel
from nemo_gym.training.collected import CollectedRollout
from nemo_gym.training.rollout_models import RolloutModels
from nemo_gym.training.rollouts import Rollouts
from nemo_gym.wire.task import Row


class SingleRollouts:
    """Collects single rollouts in the event loop of the caller, many at the same time.

    The first rollout in an event loop opens a `Rollouts`, which all later ones in this loop use. It stays
    open until `aclose` or the end of the process.

    Args:
        arguments: those of `Rollouts`, without a policy and a model.
    """

    def __init__(self, **arguments: Any) -> None:
        self._arguments = arguments
        self._models = RolloutModels()
        self._open: dict[asyncio.AbstractEventLoop, asyncio.Future[Rollouts]] = {}

    async def collect(
        self,
        row: Row,
        policy: Policy,
        *,
        max_tokens: int = 1024,
        template_arguments: Mapping[str, Any] | None = None,
    ) -> CollectedRollout:
        """One rollout of a task row, sampled by `policy`.

        Args:
            max_tokens: the most tokens of an answer, where the task does not say it.
            template_arguments: further arguments of the chat template.
        """
        rollouts = await self._rollouts()
        model = PolicyModel(policy, max_tokens=max_tokens, template_arguments=template_arguments)
        return await self._models.collect(rollouts, row, model)

    async def aclose(self) -> None:
        """Close the `Rollouts` of this event loop."""
        opening = self._open.pop(asyncio.get_running_loop(), None)
        if opening is not None and not _has_failed(opening):
            await (await opening).__aexit__(None, None, None)

    async def _rollouts(self) -> Rollouts:
        loop = asyncio.get_running_loop()
        opening = self._open.get(loop)
        if opening is None or _has_failed(opening):
            rollouts = Rollouts(model=self._models, **self._arguments)
            opening = self._open[loop] = asyncio.ensure_future(rollouts.__aenter__())
        return await asyncio.shield(opening)


def _has_failed(opening: asyncio.Future[Rollouts]) -> bool:
    return opening.done() and (opening.cancelled() or opening.exception() is not None)
