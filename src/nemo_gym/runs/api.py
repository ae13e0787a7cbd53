"""Rollouts from Python, without files: `async for rollout in gym.collect(env, model, tasks): ...`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

from nemo_gym.agents.base import Agent
from nemo_gym.environments.base import Environment
from nemo_gym.environments.build import build_environment, check_hooks
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.link import EnvironmentLink, LocalEnvironment
from nemo_gym.environments.openapi_description import fetch_description
from nemo_gym.environments.remote import RemoteEnvironment
from nemo_gym.environments.remote_placeholder import RemotePlaceholder
from nemo_gym.models.base import Model
from nemo_gym.models.registry import build_model
from nemo_gym.runs.collect import Collector
from nemo_gym.runs.component_specs import AgentSpec
from nemo_gym.runs.limiter import Adaptive, Fixed
from nemo_gym.runs.plan import PlanOptions, expand, task_rows
from nemo_gym.transport.exchange import is_url
from nemo_gym.wire.errors import UsageError, did_you_mean
from nemo_gym.wire.params import FIELDS, check_typed_params
from nemo_gym.wire.rollout import Rollout
from nemo_gym.wire.task import Row, Task


async def collect(
    environment: Environment | type[Environment] | str | None,
    model: Model | str | None,
    tasks: Iterable[Task | Row] | Path | str | None = None,
    *,
    agent: Agent | str | None = None,
    repeats: int = 1,
    limit: int | None = None,
    split: str = "train",
    seed: int | None = None,
    concurrency: int | None = None,
    rollout_timeout: float | None = 3600.0,
    **sampling: Any,
) -> AsyncGenerator[Rollout, None]:
    """Rollouts as they end, scored or failed, every (task, repeat) exactly once.

    Args:
        environment: an object, a class, a reference such as `"mcqa"` or `"path.py:Class"`, or the URL of a
            resources server; None for an agent that has one of its own.
        model: an object, or a type name that needs no URL such as `"embedded"`; None for an agent that has
            one of its own.
        tasks: rows, `Task` objects or a JSONL path; None takes the environment's own.
        agent: an object or a name; None picks the one that fits the environment.
        repeats: rollouts per task.
        seed: fixes tasks, sessions and, where the back end can, sampling.
        concurrency: rollouts in flight; None adapts to the back end.
        rollout_timeout: seconds.
        sampling: request parameters laid over every task's own, for instance `temperature=0.7`.

    Raises:
        UsageError: a task doesn't fit, or a name or keyword is unknown.
    """
    _check_sampling(sampling)
    _check_parts(environment=environment, model=model, tasks=tasks, agent=agent, split=split)
    _check_numbers(repeats=repeats, limit=limit, seed=seed, concurrency=concurrency, timeout=rollout_timeout)
    local = LocalEnvironment(_held_here(environment), seed=seed or 0)
    environment, link = local.environment, await _linked(environment, local)
    policy = build_model(model or "none", link=local) if model is None or isinstance(model, str) else model
    spec = AgentSpec(agent if isinstance(agent, str) else "").resolved(environment.name(), steps=link.steps)
    if link is local and not isinstance(environment, RemotePlaceholder) and _uses_hooks(agent):
        check_hooks(environment)
    label = type(agent).__name__ if isinstance(agent, Agent) else spec.name
    rows = task_rows(
        environment,
        Path(tasks) if isinstance(tasks, str) else tasks,
        split=split,
        seed=seed or 0,
        limit=limit,
    )
    plan = expand(rows, PlanOptions(repeats=repeats, agent=label, sampling=sampling, seed=seed))
    collector = Collector(
        agent if isinstance(agent, Agent) else spec.build(),
        link,
        policy,
        limiter=Fixed(concurrency) if concurrency else Adaptive(lambda: policy.pushbacks),
        rollout_timeout=rollout_timeout,
    )
    try:
        async with aclosing(_stream(collector, (row for row, _ in plan))) as rollouts:
            async for rollout in rollouts:
                yield rollout
    finally:
        await link.aclose()
        if policy is not model:
            await policy.aclose()


def _check_sampling(sampling: Mapping[str, Any]) -> None:
    for name in sampling:
        if name not in _SAMPLING:
            known = _SAMPLING | (inspect.signature(collect).parameters.keys() - {"sampling"})
            raise UsageError(
                f"collect() takes no {name!r}, and it is no request parameter.{did_you_mean(name, known)}"
            )
    check_typed_params({"input": "", **sampling}, "collect()")


def _check_parts(**parts: Any) -> None:
    for name, value in parts.items():
        kinds, expected = _PARTS[name]
        is_class = name == "environment" and isinstance(value, type) and issubclass(value, Environment)
        if value is not None and not isinstance(value, kinds) and not is_class:
            raise UsageError(f"collect(): {name}: expected {expected}, got {value!r:.80}")
    if isinstance(parts["tasks"], Mapping):
        raise UsageError("collect(): tasks: expected an iterable of tasks, got one task: put it into a list")


_PARTS: Final[dict[str, tuple[tuple[type, ...], str]]] = {
    "environment": ((Environment, str), "an Environment, its class, a name or a URL"),
    "model": ((Model, str), "a Model or the name of a type"),
    "tasks": ((Iterable, Path), "an iterable of tasks, or the path of a JSONL file"),
    "agent": ((Agent, str), "an Agent or a name"),
    "split": ((str,), "text"),
}


def _check_numbers(
    *, repeats: object, limit: object, seed: object, concurrency: object, timeout: object
) -> None:
    for name, value, least in (
        ("repeats", repeats, 1),
        ("limit", 0 if limit is None else limit, 0),
        ("seed", 0 if seed is None else seed, None),
        ("concurrency", 1 if concurrency is None else concurrency, 1),
    ):
        if not isinstance(value, int) or isinstance(value, bool) or (least is not None and value < least):
            bound = "" if least is None else f" from {least}"
            raise UsageError(f"collect(): {name}: expected a whole number{bound}, got {value!r:.80}")
    if timeout is not None and not (isinstance(timeout, int | float) and timeout > 0):
        raise UsageError(f"collect(): rollout_timeout: expected seconds above 0, got {timeout!r:.80}")


_SAMPLING: Final = FIELDS - {"input", "stream", "background", "model"}
"""The request parameters that may be laid over those of the tasks."""


def _held_here(environment: Environment | type[Environment] | str | None) -> Environment:
    """The environment that the tasks are of."""
    match environment:
        case Environment():
            return environment
        case None:
            return RemotePlaceholder()
        case str():
            return (
                RemotePlaceholder()
                if is_url(environment)
                else build_environment(find_environment(environment))
            )
        case _:
            return build_environment(environment)


def _uses_hooks(agent: Agent | str | None) -> bool:
    """Whether an agent calls the environment's methods here, as far as its name says that."""
    return not isinstance(agent, Agent) and agent != "remote_run"


async def _linked(given: object, local: LocalEnvironment) -> EnvironmentLink:
    """What the agent acts in."""
    if isinstance(given, str) and is_url(given):
        return RemoteEnvironment(given, about=await fetch_description(given))
    return local


async def _stream(collector: Collector, rows: Iterable[Row]) -> AsyncGenerator[Rollout, None]:
    """Bridge the collector's callback to an async iterator that slows the collector down to its reader."""
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
        while (rollout := await finished.get()) is not None:
            if finished.qsize() <= 2 * collector.limit:
                room.set()
            yield rollout
        await work
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
