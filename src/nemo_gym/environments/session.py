"""The state of one rollout inside an environment."""

from __future__ import annotations

import random
from contextvars import ContextVar
from functools import cached_property
from typing import Any, Final, TypedDict

from nemo_gym.stats.reward_scale import UNKNOWN_SCALE, RewardScale
from nemo_gym.wire import keys
from nemo_gym.wire.params import FunctionTool
from nemo_gym.wire.task import Row, Task


class AskedUsage(TypedDict):
    """What one model that the environment asks has cost a session."""

    calls: int
    failed: int
    """How many of the calls had no answer."""
    seconds: float
    """Added up over the calls, with the wait for a free place and the retries."""
    input_tokens: int
    output_tokens: int


class Session:
    """One rollout's own corner of an environment: nothing in it is shared with another rollout."""

    def __init__(
        self,
        row: Row,
        task: Task,
        *,
        id: str,
        seed: int,
        tools: list[FunctionTool],
        scale: RewardScale = UNKNOWN_SCALE,
    ) -> None:
        self.row = row
        """The task row as it came, with every field."""
        self.task = task
        """The typed task."""
        self.id = id
        self.state: dict[str, Any] = {}
        """Free for the environment's author."""
        self.tools = tools
        """Schemas of the tools the model may call in this rollout."""
        self.scale = scale
        """What the reward of this rollout can be."""
        self.cleanup_warning: dict[str, str] | None = None
        """What went wrong when the session was closed after it had been used, if anything did."""
        self._seed = seed

    @cached_property
    def asked_models(self) -> dict[str, AskedUsage]:
        """What the models that the environment asks have cost so far, by name."""
        return {}

    @property
    def columns(self) -> dict[str, Any]:
        """What the session adds to the rollout's row, however it ends."""
        return {keys.ASKED_MODELS: self.asked_models} if "asked_models" in vars(self) else {}

    @cached_property
    def rng(self) -> random.Random:
        """A generator of this rollout's own: the same run seed, task and repeat give the same numbers."""
        task, rollout = self.row.get(keys.TASK_INDEX, 0), self.row.get(keys.ROLLOUT_INDEX, 0)
        return random.Random(f"{self._seed}:{task}:{rollout}")


CURRENT: Final[ContextVar[Session | None]] = ContextVar("session", default=None)
"""The session whose hook or tool is running."""
