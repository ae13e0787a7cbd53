"""The state of one rollout inside an environment."""

from __future__ import annotations

import random
from contextvars import ContextVar
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypedDict

from nemo_gym.sandbox.pool import LeasedSandbox, SandboxLease, SandboxPool
from nemo_gym.stats.reward_scale import UNKNOWN_SCALE, RewardScale
from nemo_gym.wire import keys
from nemo_gym.wire.params import FunctionTool
from nemo_gym.wire.task import Row, Task

if TYPE_CHECKING:
    from nemo_gym.sandbox.spec import SandboxSpec


class AskedCalls(TypedDict):
    """The calls that a session made to one of the models that the environment asks."""

    calls: int
    failed: int
    """How many of the calls had no answer."""
    seconds: float
    """The sum over all calls; it includes the wait for a free place and the retries."""
    input_tokens: int
    output_tokens: int
    answers: list[str]
    """The text of each answer, in the order of the calls; empty for a call that failed."""


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
        sandboxes: SandboxPool | None = None,
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
        self.sandboxes: SandboxLease | None = None
        """The sandboxes that the session has or had; None if it never had one."""
        self._seed = seed
        self._pool = sandboxes

    @cached_property
    def asked_models(self) -> dict[str, AskedCalls]:
        """The calls so far to the models that the environment asks, by the model's name."""
        return {}

    @property
    def columns(self) -> dict[str, Any]:
        """What the session adds to the rollout's row, however it ends."""
        columns: dict[str, Any] = {}
        if self.sandboxes is not None:
            columns[keys.SANDBOX] = dict(self.sandboxes.isolation)
        if "asked_models" in vars(self):
            columns[keys.ASKED_MODELS] = self.asked_models
        return columns

    @cached_property
    def rng(self) -> random.Random:
        """A generator of this rollout's own: the same run seed, task and repeat give the same numbers."""
        task, rollout = self.row.get(keys.TASK_INDEX, 0), self.row.get(keys.ROLLOUT_INDEX, 0)
        return random.Random(f"{self._seed}:{task}:{rollout}")

    def sandbox(self, spec: SandboxSpec | None = None) -> LeasedSandbox:
        """A started sandbox from the pool of the run or server.

        `async with session.sandbox(spec) as sandbox:` has it for a block, `await session.sandbox(spec)` until
        the session ends. A session without a sandbox waits until the pool has a place; with one it gets more
        at once. Whatever a session still has at its end is closed, however it ends.
        """
        if self.sandboxes is None:
            self.sandboxes = (self._pool or SandboxPool()).lease()
        return self.sandboxes.sandbox(spec)


CURRENT: Final[ContextVar[Session | None]] = ContextVar("session", default=None)
"""The session whose hook or tool is running."""
