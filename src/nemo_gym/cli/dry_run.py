"""What a run would be, without running it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from nemo_gym.assembly.job import Assembly
from nemo_gym.cli.texts import echo, number, print_json
from nemo_gym.runs.plan import PlanOptions, expand
from nemo_gym.runs.run import Job
from nemo_gym.runs.task_sources import source_rows
from nemo_gym.wire import keys
from nemo_gym.wire.task import named_agent


def describe(assembly: Assembly, *, as_json: bool) -> None:
    """Print it. All tasks are read and checked.

    Raises:
        UsageError: a task doesn't fit.
    """
    job = assembly.job
    environment = job.environment.build()
    rows = source_rows(environment, job.sources, split=job.split, seed=job.seed or 0, limit=job.limit)
    default = job.agent_name or job.agent.arguments.get("agent") or job.agent.name or "the one that fits"
    tasks: set[int] = set()
    agents: Counter[str] = Counter()
    options = PlanOptions(num_repeats=job.num_repeats, agent=default, columns=job.columns)
    for row, _ in expand(rows, options):
        tasks.add(row[keys.TASK_INDEX])
        agents[named_agent(row)] += 1
    servers = [] if assembly.around is None and not job.environment.settings else _servers(job)
    run = {
        "environment": job.environment.ref or job.environment.url or None,
        "model": {key: value for key, value in job.model.public().items() if value},
        "servers": servers,
        "driver": assembly.settings.rollout_collection_driver,
        "tasks": len(tasks),
        "rollouts": agents.total(),
        "rollouts_by_agent": dict(agents),
        "output": str(job.output),
    }
    if as_json:
        print_json(run)
        return
    for name, value in run.items():
        if value:
            echo(f"{name.replace('_', ' '):<18} {_shown(value)}")
    echo("nothing was started")


def _servers(job: Job) -> list[str]:
    return [] if job.environment.ref else list(job.environment.settings)


def _shown(value: Any) -> str:
    match value:
        case dict():
            return ", ".join(f"{key} {_shown(one)}" for key, one in value.items())  # pyright: ignore
        case list():
            return ", ".join(map(str, value))  # pyright: ignore
        case int():
            return number(value)
        case _:
            return str(value)
