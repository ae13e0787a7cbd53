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
    from nemo_gym.sandbox.program import Program, ProgramResult
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
    """The state of one rollout, which no other rollout shares."""

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
        """The task row, with every field."""
        self.task = task
        """The typed task."""
        self.id = id
        self.state: dict[str, Any] = {}
        """For the environment's author."""
        self.tools = tools
        """Schemas of the tools that the model may call in this rollout."""
        self.scale = scale
        """The scale of this rollout's reward."""
        self.cleanup_warning: dict[str, str] | None = None
        """The failure to close the session, if it failed."""
        self.sandboxes: SandboxLease | None = None
        """The sandboxes of the session; None before its first one."""
        self._seed = seed
        self._pool = sandboxes

    @cached_property
    def asked_models(self) -> dict[str, AskedCalls]:
        """The calls so far to the models that the environment asks, by the model's name."""
        return {}

    @property
    def columns(self) -> dict[str, Any]:
        """The columns that the session adds to the rollout's row, also when the rollout fails."""
        columns: dict[str, Any] = {}
        if self.sandboxes is not None:
            columns[keys.SANDBOX] = dict(self.sandboxes.isolation)
        if "asked_models" in vars(self):
            columns[keys.ASKED_MODELS] = self.asked_models
        return columns

    @cached_property
    def rng(self) -> random.Random:
        """The rollout's random generator: the same run seed, task and repeat give the same numbers."""
        task, rollout = self.row.get(keys.TASK_INDEX, 0), self.row.get(keys.ROLLOUT_INDEX, 0)
        return random.Random(f"{self._seed}:{task}:{rollout}")

    def sandbox(self, spec: SandboxSpec | None = None) -> LeasedSandbox:
        """A sandbox from the pool of the run or the server, already started.

        `async with session.sandbox(spec) as sandbox:` closes it at the end of the block;
        `await session.sandbox(spec)` keeps it until the session ends. The first sandbox of a session waits
        until the pool has a place; the session's next ones do not wait. The end of the session closes them.
        """
        return self._lease().sandbox(spec)

    async def run_python(self, program: Program) -> ProgramResult:
        """Run a one-shot Python program in a sandbox of its own. It needs no sandbox of this session.

        Raises:
            SandboxCreateError: the sandbox can't be created, so that the rollout is not scored.
            SandboxStopped: the sandbox failed while the program ran.
        """
        return await self._lease().run_python(program)

    def _lease(self) -> SandboxLease:
        if self.sandboxes is None:
            self.sandboxes = (self._pool or SandboxPool()).lease(last=self._pool is None)
        return self.sandboxes


CURRENT: Final[ContextVar[Session | None]] = ContextVar("session", default=None)
"""The session whose hook or tool is running."""
