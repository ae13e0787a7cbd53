"""A model for each rollout, for trainers that have an endpoint, a session or a sampling for each one."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

from nemo_gym.environments.session import Session
from nemo_gym.models.base import Model
from nemo_gym.training.collected import CollectedRollout
from nemo_gym.training.rollouts import Rollouts
from nemo_gym.wire import keys
from nemo_gym.wire.errors import ModelRejected
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class RolloutModels(Model):
    """The model of `Rollouts` when each rollout has one of its own.

    ```python
    models = RolloutModels()
    async with Rollouts("mcqa", model=models) as gym:
        rollout = await models.collect(gym, row, model)
    ```
    """

    name = "rollout_models"

    def __init__(self) -> None:
        self._numbers = count()
        self._models: dict[int, Model] = {}

    async def responses(self, params: RequestParams) -> Response:
        raise ModelRejected("this model answers only inside a rollout: the agent must call for_session")

    def for_session(self, session: Session) -> Model:
        model = self._models.get(session.row.get(keys.MODEL_NUMBER, -1))
        return self if model is None else model.for_session(session)

    async def collect(self, gym: Rollouts, row: Mapping[str, Any], model: Model) -> CollectedRollout:
        """One rollout of `gym` in which `model` answers."""
        number = next(self._numbers)
        self._models[number] = model
        try:
            (rollout,) = await gym.collect([{**row, keys.MODEL_NUMBER: number}])
        finally:
            del self._models[number]
        rollout.row.pop(keys.MODEL_NUMBER, None)
        return rollout
