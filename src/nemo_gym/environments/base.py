"""`Environment` and `StepEnvironment`: what an author writes."""

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
    """Settings of an environment. Subclass it inside the environment to declare some.

    One of the type `nemo_gym.wire.masking.SecretText` is masked in everything that is written or shown.
    """


class Golden(msgspec.Struct, kw_only=True):
    """A known case: for this task, this output must earn this reward. Lines of `golden.jsonl`."""

    name: str
    kind: Literal["full_reward", "zero_reward", "malformed", "partial_reward"]
    task: dict[str, Any]
    output: str | list[dict[str, Any]]
    """The model's final text, or the trajectory's items (tool calls in it are carried out), or for a step
    environment the answers of the model, one assistant message a step."""
    expected_reward: float | None = None
    """Needed for `partial_reward`; the others have the ends of the reward range as their meaning, and
    `malformed` must score the lower end without an error."""
    models: dict[str, str | list[str]] = {}
    """What the models that the environment asks answer in this case, such as `{"judge": "yes"}`: a text for
    every call, or a list of texts for one call after the other, from its start again at its end."""


class Environment:
    """Tools, per-rollout state and a verifier. Everything but `verify` has a default.

    Every hook may be sync or async. A sync hook runs on the event loop, so one that blocks or computes for
    milliseconds is marked with `@blocking` and runs in a thread.
    """

    Task: ClassVar[type[Task]] = Task
    """Declare your own subclass of `Task` here to have rows checked and typed."""
    Config: ClassVar[type[Config]] = Config
    reward_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    """Lowest and highest reward `verify` can give. Where a class declares it, a reward outside is a
    `verifier_error`."""
    solved_at: ClassVar[float | None] = None
    """The lowest reward that means the task is solved, for pass@k; None takes the top of `reward_range`."""
    answer_key: ClassVar[str | None] = None
    """The column with the extracted answer, for majority voting over repeats."""
    session_ttl: ClassVar[float] = 3600.0
    """Seconds a session may lie unused before it is closed."""
    stateless: ClassVar[bool | None] = None
    """Whether `verify` needs no more than the row and the response, so that stored rollouts can be scored
    anew. None leaves it open; without tools and without a `seed` it is so anyway."""
    asks: ClassVar[tuple[str, ...]] = ()
    """Names of the models that the environment itself asks, such as `("judge",)`. Whoever runs it supplies
    them as `self.models[name]`."""
    domain: ClassVar[str] = "other"
    expose_tools_over_mcp: ClassVar[bool] = False
    """Whether a server of the environment offers its tools over MCP too; an instance's setting of that name
    comes first."""

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        try:
            self.config: Any = msgspec.convert(dict(config or {}), self.Config, strict=False)
        except msgspec.ValidationError as error:
            known = ", ".join(self.Config.__struct_fields__) or "none"
            if unknown := unknown_field(error):
                hint = nearest_field(error, self.Config)
                problem = f"environment {self.name()} has no setting {unknown!r} (settings: {known}){hint}"
            else:
                problem = (
                    f"environment {self.name()}: {explain_misfit(error, self.Config)} (settings: {known})"
                )
            raise UsageError(problem) from None
        remember_secret_settings(self.config)

    @cached_property
    def resources(self) -> Resources:
        """Models and sandboxes, supplied by whoever runs the environment."""
        return Resources()

    @property
    def models(self) -> Mapping[str, AskedModel]:
        """The models that are named in `asks`.

        Raises:
            UsageError: when a name is looked up that is not declared, or that nobody supplied.
        """
        return DeclaredModels(self.name(), self.asks, self.resources.models)

    @classmethod
    def name(cls) -> str:
        """The folder's name for a packaged environment, else the class name in snake case."""
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
        """Where the class is defined; `data/` and `golden.jsonl` are looked for here."""
        return cls.source_file().parent

    def tasks(self, split: str, seed: int, n: int | None) -> Iterable[Task | Row]:
        """Tasks of a split (`train`, `validation`, `example`, ...), the same ones for the same seed.

        `n` says how many a procedural environment should make (None: its own default); more may be given,
        the caller stops reading. The default reads `data/<split>.jsonl`.

        Raises:
            UsageError: there is no such split.
        """
        path = self.folder() / "data" / f"{split}.jsonl"
        if not path.exists():
            have = sorted(file.stem for file in path.parent.glob("*.jsonl"))
            known = f"it has {', '.join(have)}" if have else "it has no data of its own: give an input file"
            raise UsageError(f"environment {self.name()} has no split {split!r}; {known}").about(
                "split", "input"
            )
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
        """Score the rollout: a number, a mapping of named components, or a `Reward`. May be async."""
        raise NotImplementedError(f"{type(self).__name__} has no verify()")

    async def call_tool(self, call: FunctionCall, session: Session) -> str | None:
        """Answer a call of a tool that is no `@tool` of this class, such as one that another program has.

        None says that there is no such tool. Add the schemas of such tools to `session.tools` in `seed`.
        """
        return None

    def mcp_servers(self, task: Any, session: Session) -> Iterable[McpServer]:
        """MCP servers whose tools the model gets in this rollout, beside the `@tool` methods.

        Asked after `seed`; each one is connected to for this session alone, and closed after `close`.
        """
        return ()

    def mcp_allowed_tools_for_session(self, seed_body: Row) -> list[str] | None:
        """The only tools that MCP clients may call in the session of a row; None allows all."""
        return None

    def close(self, session: Session) -> Any:
        """Release what `seed` or a tool acquired; always called once for every seeded session."""

    def aclose(self) -> Any:
        """Release what the sessions had in common (a pool, a client, a program that was started).

        Called when a run or a server that had sessions is over, however it ended, and after every `close`.
        The environment may be used again afterwards. May be async.
        """

    def needed_models(self) -> Iterable[str]:
        """The names of `asks` that the environment can't do without, as it is set; the default is all."""
        return self.asks

    def compute_metrics(self, tasks: list[list[Row]]) -> dict[str, Any]:
        """Metrics of the environment's own, added to those every run has.

        `tasks` holds the scored rows of each task, both in order, without trajectories but with `usage`. What
        is under `per_task_metrics`, a list of objects with a `_ng_task_index`, goes to the tasks.
        """
        return {}

    def get_key_metrics(self, agent_metrics: dict[str, Any]) -> dict[str, Any]:
        """The metrics to look at first, out of all; the default takes every mean."""
        return mean_metrics(agent_metrics)

    def oracle(self, task: Any, session: Session) -> str | list[Item] | None:
        """What a perfect model would answer next, for baselines; None when that isn't known."""
        return None

    def golden(self) -> Iterable[Golden]:
        """The environment's known cases. The default reads `golden.jsonl`."""
        path = self.folder() / "golden.jsonl"
        if not path.exists():
            return []
        return [msgspec.convert(row, Golden) for _, row in read_rows(path)]

    @cached_property
    def executor(self) -> WorkerThreads:
        """The threads of `@blocking` methods. They end when a run or a server of the environment is over."""
        return WorkerThreads(_THREADS, self.name())


_THREADS = 32
"""Of one environment object."""


def mean_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that are plain means."""
    return {name: value for name, value in metrics.items() if name.startswith("mean/")}


class Step(NamedTuple):
    """What one step of a `StepEnvironment` gives back.

    `terminated` means the task itself ended, `truncated` that it was cut short from outside; a trainer may
    bootstrap a value after the second but never after the first.
    """

    observation: str | None = None
    """Text put to the model as the next user message."""
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    info: dict[str, Any] = {}


@dataclass(slots=True)
class Observation:
    """What `reset` gives back: the first thing shown to the model, and facts for the log."""

    text: str | None = None
    info: dict[str, Any] = field(default_factory=dict[str, Any])


class StepEnvironment(Environment):
    """An environment in the reset/step form; the sum of step rewards is the reward."""

    max_steps: ClassVar[int] = 10

    def reset(self, task: Any, session: Session) -> Any:
        """Start an episode; return the first observation (text or an `Observation`). May be async."""
        raise NotImplementedError(f"{type(self).__name__} has no reset()")

    def step(self, action: Response, session: Session) -> Any:
        """Apply the model's answer and return a `Step`. May be async."""
        raise NotImplementedError(f"{type(self).__name__} has no step()")
