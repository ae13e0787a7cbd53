"""verifiers, and prime-rl which trains through it: any environment of this package as a task set.

verifiers finds a task set by the name of a module, `nemo_gym_verifiers`, which has the classes of this one:

```toml
[env]
taskset = {id = "nemo-gym-verifiers", environment = "workplace_assistant"}
```

The agent, the tools and the verifier of the environment run in the environment worker of verifiers. Every
model call goes through the endpoint of the rollout, so that verifiers' own trace has the messages, tokens and
log-probabilities. A rollout that fails is an error of its trace, and has no reward.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nemo_gym.environments.build import build_environment
from nemo_gym.environments.discovery import find_environment
from nemo_gym.models.base import Model, WrappedModel
from nemo_gym.models.chat import ChatModel
from nemo_gym.models.remote import context_overflow
from nemo_gym.runs.plan import task_rows
from nemo_gym.training.collected import CollectedRollout
from nemo_gym.training.sequences import TRUNCATED_OUTCOMES
from nemo_gym.training.single_rollouts import SingleRollouts
from nemo_gym.transport.retry import Retry
from nemo_gym.wire import keys
from nemo_gym.wire.chat import chat_request
from nemo_gym.wire.errors import ModelError, UsageError
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response
from nemo_gym.wire.task import Row

try:
    vf: Any = import_module("verifiers.v1")
except ImportError as error:
    raise UsageError(f"verifiers needs {error.name}: pip install 'verifiers>=0.4'") from None

if TYPE_CHECKING:
    AgentConfig = Any
else:
    AgentConfig = vf.AgentConfig

PLUGIN: Final = "nemo-gym-verifiers"
"""The id of the task set."""


class GymTasksetConfig(vf.TasksetConfig):
    """Which environment, and which of its tasks."""

    environment: str
    """A name such as `mcqa`, `path.py` or `path.py:Class`."""
    settings: dict[str, Any] = {}
    """The settings of the environment."""
    tasks: Path | None = None
    """A JSONL file of tasks; by default the environment's own."""
    split: str = "train"
    seed: int = 0
    limit: int | None = None
    """Only the first so many tasks."""
    agent: str = ""
    """The agent's name; by default the one that fits the environment."""
    agent_settings: dict[str, Any] = {}
    """Its settings, such as `max_steps`."""
    models: dict[str, dict[str, Any]] = {}
    """The models that the environment asks, by the names it declares: `type`, `url` and `model`."""


class GymData(vf.TaskData):
    """A task."""

    row: dict[str, Any]
    """The whole task row."""


class GymState(vf.State):
    """What the hooks of one rollout share; nothing of it is recorded."""

    _gym: Any = None
    _rollout: Any = None


class GymTask(vf.Task[GymData, GymState]):
    """A task of an environment. Its reward is that of the environment, its metrics are the components."""

    gym: SingleRollouts | None = None

    async def setup(self, trace: Any, runtime: Any) -> None:
        if self.gym is None:
            raise UsageError(f"{PLUGIN}: the task needs the environment of {PLUGIN}: leave env.id empty")
        trace.state._gym = self.gym

    @vf.reward
    async def nemo_gym(self, trace: Any) -> float:
        rollout = trace.state._rollout
        if rollout is None:
            raise UsageError(f"{PLUGIN}: the rollout needs the harness of {PLUGIN}: leave the harness out")
        trace.record_metrics(rollout.components or {})
        trace.info["nemo_gym"] = {"outcome": rollout.outcome, **rollout.details}
        return rollout.reward


class GymTaskset(vf.Taskset[GymTask, GymTasksetConfig]):
    """The tasks of an environment."""

    config: Any

    def load(self) -> Iterator[Any]:
        config = self.config
        environment = build_environment(find_environment(config.environment), config.settings)
        rows = task_rows(environment, config.tasks, split=config.split, seed=config.seed, limit=config.limit)
        for number, row in enumerate(rows):
            data = GymData(name=f"{environment.name()}:{number}", prompt=_text(row), row=row)
            yield GymTask(data, config.task)


class GymHarness(vf.Harness[vf.HarnessConfig]):
    """Plays a task with the agent of this package, in the process of the environment worker."""

    EXECUTES_CODE = False
    NEEDS_CONTAINER = False

    async def launch(
        self,
        ctx: Any,
        trace: Any,
        runtime: Any,
        endpoint: str,
        secret: str,
        mcp_urls: dict[str, str],
        data: Any,
    ) -> Any:
        row = data.row
        if data.system_prompt is not None:
            row = {**row, keys.PARAMS: {**row[keys.PARAMS], "instructions": data.system_prompt}}
        chat = ChatModel(endpoint, ctx.model, api_key=secret, retry=Retry(attempts=3), direct=True)
        async with _Intercepted(chat, trace) as model:
            rollout: CollectedRollout = await trace.state._gym.collect(row, model)
        if rollout.failure is not None:
            raise rollout.failure
        trace.state._rollout = rollout
        if rollout.outcome in TRUNCATED_OUTCOMES and trace.stop_condition is None:
            trace.stop("max_total_tokens" if rollout.outcome == "context_overflow" else "max_turns")
        return vf.ProgramResult(exit_code=0, stdout="", stderr="")


class GymEnvConfig(vf.EnvConfig):
    """The agent runs in the worker, so its runtime is a plain folder."""

    agent: AgentConfig = vf.AgentConfig(runtime=vf.SubprocessConfig())


class GymEnv(vf.Env[GymEnvConfig]):
    """Opens the environment once for each environment worker."""

    taskset: Any
    _gym: SingleRollouts | None = None

    async def start(self) -> None:
        config = self.taskset.config
        self._gym = SingleRollouts(
            environment=config.environment,
            settings=config.settings,
            agent=config.agent or None,
            agent_settings=config.agent_settings,
            models=config.models,
            seed=config.seed,
        )
        await self._gym.opened()

    async def stop(self) -> None:
        if self._gym is not None:
            await self._gym.aclose()
            self._gym = None

    async def run(self, task: Any, agents: Any) -> None:
        task = copy.copy(task)
        task.gym = self._gym
        await agents.agent.run(task)


class _Intercepted(WrappedModel):
    """The endpoint of a rollout. Once verifiers has stopped the rollout, it is as if the context were full,
    so that the agent ends and what there is gets scored."""

    def __init__(self, inner: Model, trace: Any) -> None:
        super().__init__(inner)
        self._trace = trace

    async def responses(self, params: RequestParams) -> Response:
        try:
            return await self.inner.responses(params)
        except ModelError:
            if self._trace.stop_condition is None:
                raise
            return context_overflow(self.name)


def _text(row: Row) -> str:
    """What the messages of a task say, for people who read a trace's task."""
    messages = chat_request(row[keys.PARAMS])["messages"]
    return "\n\n".join(str(message["content"] or "") for message in messages)


__all__ = ["GymEnv", "GymHarness", "GymTaskset"]
