"""Rollouts from Python, without files: `async for rollout in gym.collect(env, model, tasks): ...`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Any

from nemo_gym.agents.base import Agent
from nemo_gym.environments.base import Environment
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.models.base import Model
from nemo_gym.models.registry import build_model
from nemo_gym.runs.collect import Collector
from nemo_gym.runs.components import AgentSpec
from nemo_gym.runs.limiter import Adaptive, Fixed
from nemo_gym.runs.plan import PlanOptions, expand, task_rows
from nemo_gym.wire.rollout import Rollout
from nemo_gym.wire.task import Row, Task


async def collect(
    environment: Environment | type[Environment] | str,
    model: Model | str,
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
        environment: an object, a class, or a reference such as `"mcqa"` or `"path.py:Class"`.
        model: an object, or a type name that needs no URL such as `"embedded"`.
        tasks: rows, `Task` objects or a JSONL path; None takes the environment's own.
        agent: an object or a name; None picks the one that fits the environment.
        repeats: rollouts per task.
        seed: fixes tasks, sessions and, where the back end can, sampling.
        concurrency: rollouts in flight; None adapts to the back end.
        rollout_timeout: seconds.
        sampling: request parameters laid over every task's own, for instance `temperature=0.7`.

    Raises:
        UsageError: a task doesn't fit, or a name is unknown.
    """
    if isinstance(environment, str):
        environment = find_environment(environment)
    if isinstance(environment, type):
        environment = environment()
    link = LocalEnvironment(environment, seed=seed or 0)
    policy = build_model(model, link=link) if isinstance(model, str) else model
    spec = AgentSpec(agent if isinstance(agent, str) else "").resolved(environment)
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
        if isinstance(model, str):
            await policy.aclose()


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
