"""`Environment` and `StepEnvironment`: the classes that an author subclasses."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import msgspec

from nemo_gym.environments.mcp_tools import McpServer
from nemo_gym.environments.resources import AskedModel, DeclaredModels, Resources
from nemo_gym.environments.session import Session
from nemo_gym.support.threads import WorkerThreads
from nemo_gym.wire.choices import explain_misfit, nearest_field, unknown_field
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import FunctionCall, Item
from nemo_gym.wire.jsonl import read_rows
from nemo_gym.wire.masking import remember_secret_settings
from nemo_gym.wire.response import Response
from nemo_gym.wire.task import Row, Task


class Config(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Settings of an environment. Subclass it inside the environment to declare settings.

    A setting of the type `nemo_gym.wire.masking.SecretText` is masked wherever settings are written or shown.
    """


class Golden(msgspec.Struct, kw_only=True):
    """A known case, which is a line of `golden.jsonl`: for this task, this output must earn this reward."""

    name: str
    kind: Literal["full_reward", "zero_reward", "malformed", "partial_reward"]
    task: dict[str, Any]
    output: str | list[dict[str, Any]]
    """The model's final text, or the items of the trajectory, whose tool calls are run. For a step
    environment the answers of the model, one assistant message for each step."""
    expected_reward: float | None = None
    """Only for `partial_reward`. `full_reward` means the upper end of the reward range, `zero_reward` the
    lower end, and `malformed` the lower end without an error."""
    models: dict[str, str | list[str]] = {}
    """The answers of the models that the environment asks, such as `{"judge": "yes"}`: one text for every
    call, or a list of texts for the calls in turn. After its last text the list starts again."""


class Environment:
    """Tools, the state of each rollout, and a verifier. Everything but `verify` has a default.

    Every hook may be sync or async. A sync hook runs on the event loop. Mark it with `@blocking` if it blocks
    or computes for milliseconds; it then runs in a thread.
    """

    Task: ClassVar[type[Task]] = Task
    """Declare your own subclass of `Task` here; rows are then checked and typed."""
    Config: ClassVar[type[Config]] = Config
    reward_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    """The lowest and the highest reward of `verify`. When a class declares it, a reward outside of it is a
    `verifier_error`."""
    reward_components: ClassVar[Mapping[str, tuple[float, float]]] = {}
    """The lowest and the highest value of each component of the reward, if it has components. The range of a
    reward with weights follows from them, and a weight for another name is an error before the run."""
    solved_at: ClassVar[float | None] = None
    """The lowest reward of a solved task, for pass@k; None takes the upper end of `reward_range`."""
    answer_key: ClassVar[str | None] = None
    """The column with the extracted answer, for majority voting over repeats."""
    session_ttl: ClassVar[float] = 3600.0
    """Seconds after which an unused session is closed."""
    stateless: ClassVar[bool | None] = None
    """Whether `verify` needs only the row and the response, so that stored rollouts can be scored again. None
    means unknown, or True for an environment without tools and without `seed`."""
    restorable: ClassVar[bool] = False
    """Whether the same task, seed and tool calls (or steps) always give the same outputs and the same state,
    and change nothing outside of the session. A rollout whose process was killed can then go on
    (`--journal-turns`): its tool calls are made again, without the model. `snapshot` is the other way."""
    asks: ClassVar[tuple[str, ...]] = ()
    """Names of the models that the environment itself asks, such as `("judge",)`. The run or the server
    supplies them as `self.models[name]`."""
    oracle_exception: ClassVar[str] = ""
    """Why the oracle does not reach the top reward, such as "cards are chance"; empty where it does."""
    null_exception: ClassVar[str] = ""
    """Why an answer without content earns a reward; empty where it earns none."""
    domain: ClassVar[str] = "other"
    expose_tools_over_mcp: ClassVar[bool] = False
    """Whether a server of the environment offers its tools over MCP too. A setting of that name in the
    configuration of an instance wins over it."""

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        try:
            self.config: Any = msgspec.convert(dict(config or {}), self.Config, strict=False)
        except msgspec.ValidationError as error:
            settings = f"(settings: {', '.join(self.Config.__struct_fields__) or 'none'})"
            if name := unknown_field(error):
                hint = nearest_field(error, self.Config)
                problem = f"environment {self.name()} has no setting {name!r} {settings}{hint}"
            else:
                problem = f"environment {self.name()}: {explain_misfit(error, self.Config)} {settings}"
            raise UsageError(problem) from None
        remember_secret_settings(self.config)

    @cached_property
    def resources(self) -> Resources:
        """Models and sandboxes, supplied by the run or the server."""
        return Resources()

    @property
    def models(self) -> Mapping[str, AskedModel]:
        """The models that are named in `asks`.

        Raises:
            UsageError: on the lookup of a name that is not declared, or that nobody supplied.
        """
        return DeclaredModels(self.name(), self.asks, self.resources.models)

    @classmethod
    def name(cls) -> str:
        """The folder's name for a built-in environment, or else the class name in snake case."""
        module = cls.__module__
        if module.startswith("nemo_gym.library."):
            return module.split(".")[3]
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()

    @classmethod
    def source_file(cls) -> Path:
        """The file that defines the class."""
        return Path(inspect.getfile(cls))

    @classmethod
    def folder(cls) -> Path:
        """The folder of that file, which may also hold `data/` and `golden.jsonl`."""
        return cls.source_file().parent

    def tasks(self, split: str, seed: int, n: int | None) -> Iterable[Task | Row]:
        """Tasks of a split (`train`, `validation`, `example`, ...); the same seed gives the same tasks.

        `n` is the number of tasks that the caller reads; None leaves the number to the environment. The
        default reads `data/<split>.jsonl`.

        Raises:
            UsageError: there is no such split.
        """
        path = self.folder() / "data" / f"{split}.jsonl"
        if not path.exists():
            splits = sorted(file.stem for file in path.parent.glob("*.jsonl"))
            hint = (
                f"it has {', '.join(splits)}" if splits else "it has no data of its own: give an input file"
            )
            problem = f"environment {self.name()} has no split {split!r}; {hint}"
            raise UsageError(problem).about("split", "input")
        return (row for _, row in read_rows(path))

    def check_split(self, split: str, splits: Iterable[str]) -> None:
        """Check the name of a split, for a `tasks` method that makes its own tasks.

        Raises:
            UsageError: there is no such split.
        """
        names = tuple(splits)
        if split not in names:
            raise UsageError(f"environment {self.name()} has no split {split!r}; it has {', '.join(names)}")

    def seed(self, task: Any, session: Session) -> Any:
        """Prepare the rollout's state. `session.row` holds the whole row."""

    def verify(self, task: Any, response: Response, session: Session) -> Any:
        """Score the rollout with a number, a mapping of named components, or a `Reward`. May be async."""
        raise NotImplementedError(f"{type(self).__name__} has no verify()")

    def snapshot(self, session: Session) -> Any:
        """The state of the session as JSON, after each turn, for `restore`. May be async."""
        raise NotImplementedError(f"{type(self).__name__} has no snapshot()")

    def restore(self, state: Any, session: Session) -> Any:
        """Bring a session that was just seeded (and reset) to a state of `snapshot`. May be async."""
        raise NotImplementedError(f"{type(self).__name__} has no restore()")

    async def call_tool(self, call: FunctionCall, session: Session) -> str | None:
        """Answer a call of a tool that is not a `@tool` of this class, such as a tool of another program.

        None means that there is no such tool. Add the schemas of such tools to `session.tools` in `seed`.
        """
        return None

    def mcp_servers(self, task: Any, session: Session) -> Iterable[McpServer]:
        """MCP servers whose tools the model gets in this rollout, in addition to the `@tool` methods.

        It runs after `seed`. Each server gets a connection for this session alone, which ends after `close`.
        """
        return ()

    def mcp_allowed_tools_for_session(self, seed_body: Row) -> list[str] | None:
        """The only tools that MCP clients may call in the session of a row; None allows all."""
        return None

    def close(self, session: Session) -> Any:
        """Release what `seed` or a tool acquired. It runs exactly once for every session."""

    def aclose(self) -> Any:
        """Release what all sessions share, such as a pool, a client or a program.

        It runs at the end of a run or a server that had sessions, after every `close`, even after a failure.
        The environment may be used again afterwards. May be async.
        """

    def needed_models(self) -> Iterable[str]:
        """The names of `asks` that the environment needs with its present settings; by default all."""
        return self.asks

    def compute_metrics(self, tasks: list[list[Row]]) -> dict[str, Any]:
        """The environment's own metrics, in addition to those of every run.

        `tasks` holds the scored rows of each task in order, with `usage` but without trajectories. The key
        `per_task_metrics` may hold metrics of single tasks: a list of objects with a `_ng_task_index`.
        """
        return {}

    def get_key_metrics(self, agent_metrics: dict[str, Any]) -> dict[str, Any]:
        """The most important metrics; by default every mean."""
        return mean_metrics(agent_metrics)

    def cohort_size(self, task: Any) -> int:
        """How many rollouts of a task `verify` compares with one another. It waits for all of them, so a run
        with fewer repeats or fewer rollouts in flight is refused."""
        return 1

    def oracle(self, task: Any, session: Session) -> str | list[Item] | None:
        """The next answer of a perfect model, for baselines; None when it is unknown."""
        return None

    def golden(self) -> Iterable[Golden]:
        """The environment's known cases. The default reads `golden.jsonl`."""
        path = self.folder() / "golden.jsonl"
        if not path.exists():
            return []
        return [msgspec.convert(row, Golden) for _, row in read_rows(path)]

    @cached_property
    def executor(self) -> WorkerThreads:
        """The threads of `@blocking` methods. They end with the run or the server."""
        return WorkerThreads(_THREADS, self.name())


_THREADS = 32
"""The most threads of one environment object."""


def mean_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that are plain means."""
    return {name: value for name, value in metrics.items() if name.startswith("mean/")}


class Step(NamedTuple):
    """The result of one step of a `StepEnvironment`.

    `terminated` means that the task itself ended, `truncated` that it was cut short from outside. A trainer
    may bootstrap a value after a truncation, but never after a termination.
    """

    observation: str | None = None
    """The next user message for the model."""
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    info: dict[str, Any] = {}


@dataclass(slots=True)
class Observation:
    """The result of `reset`: the first message for the model, and facts for the log."""

    text: str | None = None
    info: dict[str, Any] = field(default_factory=dict[str, Any])


class StepEnvironment(Environment):
    """An environment in the reset/step form; the sum of step rewards is the reward."""

    max_steps: ClassVar[int] = 10

    def reset(self, task: Any, session: Session) -> Any:
        """Start an episode and return the first observation (a text or an `Observation`). May be async."""
        raise NotImplementedError(f"{type(self).__name__} has no reset()")

    def step(self, action: Response, session: Session) -> Any:
        """Apply the model's answer and return a `Step`. May be async."""
        raise NotImplementedError(f"{type(self).__name__} has no step()")
