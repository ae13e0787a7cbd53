"""Rollouts from Python, without files: `async for rollout in gym.collect(env, model, tasks): ...`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypedDict, cast

import msgspec

from nemo_gym.agents.base import Agent
from nemo_gym.agents.model_access import ServedModel
from nemo_gym.assembly.arguments import Arguments
from nemo_gym.assembly.loopback import open_loopback
from nemo_gym.assembly.ready_components import (
    AroundModel,
    LentModel,
    ReadyAgent,
    ReadyEnvironment,
    ReadyModel,
    embedded_model,
)
from nemo_gym.capture.settings import CaptureSettings
from nemo_gym.config.run_settings import RunSettings
from nemo_gym.environments.base import Environment
from nemo_gym.environments.build import build_environment
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.environments.resources import ModelMissing
from nemo_gym.environments.reward_terms import RewardTerms
from nemo_gym.models.base import Model
from nemo_gym.runs.asked_specs import asked_spec
from nemo_gym.runs.cohort_rows import check_cohorts
from nemo_gym.runs.collect import Collector
from nemo_gym.runs.component_specs import AgentSpec, EnvironmentSpec, ModelSpec, resolve_specs
from nemo_gym.runs.plan import PlanOptions, check_rows, expand, task_rows
from nemo_gym.runs.worker import Orders, build_collector
from nemo_gym.support.signals import waking_loop
from nemo_gym.transport.exchange import is_url
from nemo_gym.wire.errors import UsageError, did_you_mean
from nemo_gym.wire.params import FIELDS
from nemo_gym.wire.rollout import Rollout
from nemo_gym.wire.task import Row, Task


async def collect(
    environment: Environment | type[Environment] | str | None,
    model: Model | ModelSpec | str | None,
    tasks: Iterable[Task | Row] | Path | str | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    agent: Agent | str | None = None,
    agent_settings: Mapping[str, Any] | None = None,
    models: Mapping[str, Model | ModelSpec | Mapping[str, Any]] | None = None,
    num_repeats: int = 1,
    limit: int | None = None,
    split: str = "train",
    seed: int | None = None,
    concurrency: int | None = None,
    max_sandboxes: int | None = None,
    sandbox_provider: str | dict[str, Any] | None = None,
    rollout_timeout: float | None = 3600.0,
    reward_weights: Mapping[str, float] | str | None = None,
    reward_shaping: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = (),
    capture_dir: Path | str | None = None,
    **sampling: Any,
) -> AsyncGenerator[Rollout, None]:
    """Rollouts as they end, scored or failed, every (task, repeat) exactly once.

    Args:
        environment: an object, a class, a reference such as `"mcqa"` or `"path.py:Class"`, or the URL of a
            resources server; None if the agent has its own.
        model: an object, `gym.model(url, name)`, or a type name that needs no URL such as `"embedded"`, which
            stays loaded for the next call; None if the agent has its own.
        tasks: rows, `Task` objects or a JSONL path; None takes the environment's own.
        settings: the settings of an environment that is a class or a reference.
        agent: an object or a name; None picks the one that fits the environment.
        agent_settings: the settings of an agent by name, for instance `{"max_steps": 8}`.
        models: the models that the environment asks, by the names it declares: objects, which stay open,
            `gym.model(url, name)`, or settings such as `{"type": "chat", "url": ..., "model": "my-judge"}`.
        num_repeats: rollouts per task.
        limit: only the first so many tasks.
        seed: fixes tasks, sessions and, where the back end can, sampling.
        concurrency: rollouts in flight; None adapts to the back end.
        max_sandboxes: rollouts that may have sandboxes at the same time; None is two for each core.
        sandbox_provider: what makes the sandboxes: a name such as `"docker"`, `"remote=http://10.0.0.7:9000"`,
            or `{name: settings}`; None is `"local"`.
        rollout_timeout: seconds that one rollout may take.
        reward_weights: weights of reward components, such as `{"correctness": 1, "format": 0.2}`; those that
            are not named have the weight 1.
        reward_shaping: penalties, such as `["long:from=512,to=1024,penalty=0.5"]` or
            `[{"type": "format", "tag": "answer", "penalty": 0.1}]`.
        capture_dir: folder in which every model call is recorded.
        sampling: request parameters that win over every task's own, for instance `temperature=0.7`.

    Raises:
        UsageError: a task doesn't fit, or a name, a keyword or a value is wrong. Everything is checked before
            the first rollout, the tasks too if they are a file or a sequence.
        GymError: the model or a server can't be reached.
    """
    _check_sampling(sampling)
    _check_kinds(environment=environment, model=model, tasks=tasks, agent=agent)
    options = RunSettings.of(split=split, limit=limit or None, num_repeats=num_repeats, sampling=sampling)
    async with open_collection(
        environment,
        model,
        settings=settings,
        agent=agent,
        agent_settings=agent_settings,
        models=models,
        seed=seed,
        concurrency=concurrency,
        max_sandboxes=max_sandboxes,
        sandbox_provider=sandbox_provider,
        rollout_timeout=rollout_timeout,
        reward_weights=reward_weights,
        reward_shaping=reward_shaping,
        capture_dir=capture_dir,
    ) as collection:
        how = PlanOptions(num_repeats=options.num_repeats or 1, sampling=options.sampling, seed=seed)
        bounds = Bounds(split=split, seed=seed or 0, limit=limit)
        plan = collection.plan(Path(tasks) if isinstance(tasks, str) else tasks, how, bounds)
        async with aclosing(_stream(collection.collector, plan)) as rollouts:
            async for rollout in rollouts:
                yield rollout


@dataclass(frozen=True, slots=True)
class Collection:
    """An environment, an agent and a model that are ready to run rollouts."""

    collector: Collector
    environment: Environment
    orders: Orders

    def plan(
        self, source: Iterable[Task | Row] | Path | None, options: PlanOptions, bounds: Bounds
    ) -> Iterator[Row]:
        """The rows of every (task, repeat), lazily. A file or a sequence is checked as a whole before.

        Raises:
            UsageError: a task doesn't fit the environment or the agent.
        """

        def rows() -> Iterable[tuple[Row, int]]:
            checked = _rows(self.environment, source, self.collector.agent, bounds)
            if self.orders.environment.url:
                return checked
            repeats = options.num_repeats if isinstance(options.num_repeats, int) else 1
            in_flight = self.orders.first_in_flight
            return check_cohorts(checked, self.environment, num_repeats=repeats, in_flight=in_flight)

        if isinstance(source, Path | Sequence):
            for _ in rows():
                pass
        return (row for row, _ in expand(rows(), replace(options, agent=self.orders.agent.label)))


@asynccontextmanager
async def open_collection(
    environment: Environment | type[Environment] | str | None,
    model: Model | ModelSpec | str | None,
    *,
    settings: Mapping[str, Any] | None = None,
    agent: Agent | str | None = None,
    agent_settings: Mapping[str, Any] | None = None,
    models: Mapping[str, Model | ModelSpec | Mapping[str, Any]] | None = None,
    seed: int | None = None,
    concurrency: int | None = None,
    max_sandboxes: int | None = None,
    sandbox_provider: str | dict[str, Any] | None = None,
    rollout_timeout: float | None = 3600.0,
    reward_weights: Mapping[str, float] | str | None = None,
    reward_shaping: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = (),
    capture_dir: Path | str | None = None,
    around_model: Callable[[Model], Model] | None = None,
) -> AsyncGenerator[Collection, None]:
    """What `collect` runs, built and checked, closed at the end of the block; arguments as of `collect`.

    Args:
        around_model: makes the model that is asked from the one that is given or built.

    Raises:
        UsageError: a name, a keyword or a value is wrong.
        GymError: the model or a server can't be reached.
    """
    _check_kinds(environment=environment, model=model, agent=agent)
    _check_numbers(seed=seed, rollout_timeout=rollout_timeout)
    options = RunSettings.of(
        concurrency=concurrency, max_sandboxes=max_sandboxes, sandbox_provider=sandbox_provider
    )
    if environment is None and not isinstance(agent, Agent) and agent != "remote_run":
        Arguments().check_choice(agent or "")
    model_spec = _model_spec(model)
    if around_model is not None:
        model_spec = AroundModel.of(model_spec, around_model)
    environment_spec = _with_models(_environment_spec(environment, dict(settings or {})), models or {})
    agent_spec = _agent_spec(agent, dict(agent_settings or {}))
    try:
        built, environment_spec, agent_spec = await resolve_specs(environment_spec, agent_spec)
    except ModelMissing as error:
        what = "with a Model or its settings (type, url, model)"
        raise UsageError(f"{error}: pass collect(..., models={{{error.name!r}: ...}}) {what}") from None
    orders = Orders(
        environment=environment_spec,
        model=model_spec,
        agent=agent_spec,
        concurrency=options.concurrency,
        max_sandboxes=options.max_sandboxes,
        sandbox_provider=options.sandbox_provider,
        rollout_timeout=rollout_timeout,
        seed=seed or 0,
        terms=RewardTerms.of(reward_weights, reward_shaping),
        capture=CaptureSettings(_absolute(capture_dir)) if capture_dir else None,
    )
    async with _open_collector(orders, built, agent) as collector:
        # The owner of an agent object checks it.
        await (collector.model.check if isinstance(agent, Agent) else collector.check)()
        yield Collection(collector, built, orders)


@asynccontextmanager
async def _open_collector(
    orders: Orders, environment: Environment, agent: object
) -> AsyncGenerator[Collector, None]:
    """The collector, closed at the end of the block. The environment then has its earlier resources again."""
    lent = orders.model.model if isinstance(orders.model, ReadyModel) else None
    before = environment.resources
    try:
        try:
            collector = build_collector(orders, serve_loopback=partial(_open_loopback, orders.capture, lent))
        except BaseException:
            if environment.resources is not before:
                await environment.resources.aclose()
            raise
        keep = [lent, collector.agent if isinstance(agent, Agent) else None]
        try:
            yield collector
        finally:
            await collector.aclose(keep=[component for component in keep if component is not None])
    finally:
        environment.resources = before


class Bounds(TypedDict):
    """The tasks that are run."""

    split: str
    seed: int
    limit: int | None


def _rows(
    environment: Environment, source: Iterable[Task | Row] | Path | None, agent: Agent, bounds: Bounds
) -> Iterator[tuple[Row, int]]:
    """The tasks, each once; raises for one that the environment or the agent doesn't take."""
    rows = task_rows(environment, source, **bounds)
    return check_rows(((row, 1) for row in rows), agent)


def _absolute(folder: Path | str) -> str:
    return str(Path(folder).absolute())


def _check_sampling(sampling: Mapping[str, Any]) -> None:
    for name, value in sampling.items():
        if name not in SAMPLING:
            keywords = SAMPLING | (inspect.signature(collect).parameters.keys() - {"sampling"})
            hint = did_you_mean(name, keywords)
            if not hint.endswith("?"):
                hint = f" An environment takes it as settings={{{name!r}: {value!r:.40}}}."
            raise UsageError(f"collect() takes no {name!r}, and it is no request parameter.{hint}")


SAMPLING: Final = FIELDS - {"input", "stream", "background", "model"}
"""The request parameters that can replace those of the tasks."""


def _check_kinds(**components: Any) -> None:
    for name, value in components.items():
        kinds, expected = _KINDS[name]
        is_class = name == "environment" and isinstance(value, type) and issubclass(value, Environment)
        if value is not None and not isinstance(value, kinds) and not is_class:
            raise UsageError(f"{name}: expected {expected}, got {value!r:.80}")
    if isinstance(components.get("tasks"), Mapping):
        raise UsageError("tasks: expected an iterable of tasks, got one task: put it into a list")


_KINDS: Final[dict[str, tuple[tuple[type, ...], str]]] = {
    "environment": ((Environment, str), "an Environment, its class, a name or a URL"),
    "model": ((Model, ModelSpec, str), "a Model or the name of a type"),
    "tasks": ((Iterable, Path), "an iterable of tasks, or the path of a JSONL file"),
    "agent": ((Agent, str), "an Agent or a name"),
}


def _check_numbers(*, seed: object, rollout_timeout: object) -> None:
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool)):
        raise UsageError(f"seed: expected a whole number, got {seed!r:.80}")
    if rollout_timeout is not None and not (isinstance(rollout_timeout, int | float) and rollout_timeout > 0):
        raise UsageError(f"rollout_timeout: expected seconds above 0, got {rollout_timeout!r:.80}")


def _environment_spec(
    environment: Environment | type[Environment] | str | None, settings: dict[str, Any]
) -> EnvironmentSpec:
    if isinstance(environment, type):
        return ReadyEnvironment(environment=build_environment(environment, settings))
    if isinstance(environment, str) and not is_url(environment):
        return EnvironmentSpec(environment, settings)
    if settings:
        owner = "object" if isinstance(environment, Environment) else "server"
        message = f"settings can't be honoured: the environment {owner} has its own settings"
        raise UsageError(message).about("settings")
    if isinstance(environment, Environment):
        return ReadyEnvironment(environment=environment)
    return EnvironmentSpec(url=environment or "")


def _with_models(
    spec: EnvironmentSpec, models: Mapping[str, Model | ModelSpec | Mapping[str, Any]]
) -> EnvironmentSpec:
    if not models:
        return spec
    if spec.url:
        raise UsageError("models can't be honoured: the environment server has its own models")
    specs = {name: _asked_spec(name, model) for name, model in models.items()}
    return msgspec.structs.replace(spec, models=specs)


def _asked_spec(name: str, model: object) -> ModelSpec:
    match model:
        case Model():
            return ReadyModel(model=model)
        case ModelSpec():
            return model
        case Mapping():
            return asked_spec(name, cast("Mapping[str, Any]", model))
        case _:
            raise UsageError(f"models[{name!r}]: expected a Model or settings, got {model!r:.80}")


def _model_spec(model: Model | ModelSpec | str | None) -> ModelSpec:
    if isinstance(model, Model):
        return ReadyModel(model=model)
    spec = model if isinstance(model, ModelSpec) else ModelSpec(model or "none")
    return ReadyModel(model=embedded_model()) if spec == ModelSpec("embedded") else spec


def _agent_spec(agent: Agent | str | None, settings: dict[str, Any]) -> AgentSpec:
    if not isinstance(agent, Agent):
        return AgentSpec(agent or "", settings)
    if settings:
        raise UsageError("agent_settings can't be honoured: the agent object has its own settings")
    return ReadyAgent(agent=agent)


def _open_loopback(
    capture: CaptureSettings | None, lent: Model | None, model: Model, link: EnvironmentLink
) -> tuple[ServedModel, EnvironmentLink]:
    """As `open_loopback`, but a model of the caller stays open when its server is closed."""
    return open_loopback(
        capture, LentModel(model) if model is lent and not isinstance(model, ServedModel) else model, link
    )


async def _stream(collector: Collector, rows: Iterable[Row]) -> AsyncGenerator[Rollout, None]:
    """The collector's rollouts as an iterator. The collector waits if the reader is slow."""
    finished: asyncio.Queue[Rollout | None] = asyncio.Queue()
    source = iter(rows)
    room = asyncio.Event()
    room.set()

    async def next_row() -> Row | None:
        await room.wait()
        return next(source, None)

    def sink(rollout: Rollout) -> None:
        finished.put_nowait(rollout)
        if finished.qsize() > 2 * collector.limit:
            room.clear()

    async def run() -> None:
        try:
            await collector.run(next_row, sink)
        finally:
            finished.put_nowait(None)

    work = asyncio.create_task(run())
    try:
        with waking_loop():
            while (rollout := await finished.get()) is not None:
                if finished.qsize() <= 2 * collector.limit:
                    room.set()
                yield rollout
        await work
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
