"""`Agent`: owns the loop between a model and an environment, nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.models.base import Model
from nemo_gym.wire.rollout import Rollout
from nemo_gym.wire.task import Row


class Agent(ABC):
    """One way of letting a model act. Agents are straight-line code: deadlines, retries and concurrency
    are the collector's business."""

    plays: ClassVar[Literal["tools", "steps"]] = "tools"
    """Which form of environment it can act in."""

    @abstractmethod
    async def run(self, row: Row, environment: EnvironmentLink, model: Model) -> Rollout:
        """One attempt at one task.

        Raises:
            RolloutError: the attempt ended without a score. Whatever is raised carries what was done so
                far (`keep_partial`).
        """
