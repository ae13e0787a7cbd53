"""`Agent`: owns the loop between a model and an environment, nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.models.base import Model
from nemo_gym.wire.rollout import Rollout
from nemo_gym.wire.task import Row


class Agent(ABC):
    """One way to let a model act. Agents are straight-line code; the collector does deadlines, retries and
    concurrency."""

    plays: ClassVar[Literal["tools", "steps"]] = "tools"
    """The form of the environments that it can act in."""
    needs_served_model: ClassVar[bool] = False
    """Whether its model must be a `ServedModel`, because the agent runs a program that calls it over HTTP."""

    @abstractmethod
    async def run(self, row: Row, environment: EnvironmentLink, model: Model) -> Rollout:
        """One attempt at one task.

        Raises:
            RolloutError: the attempt ended without a score. Every exception carries the trajectory so far
                (`keep_partial`).
        """

    async def check(self) -> None:  # noqa: B027 - nothing to check is a fine default
        """Fail before a run starts when a server that the agent needs can't be reached.

        Raises:
            GymError: the reason.
        """

    def check_row(self, row: Row) -> None:  # noqa: B027 - any row is a fine default
        """Refuse a row that the agent can't run, after `check` and before any row is run.

        Raises:
            UsageError: the reason.
        """

    async def aclose(self) -> None:  # noqa: B027 - nothing to release is a fine default
        """Release connections."""
