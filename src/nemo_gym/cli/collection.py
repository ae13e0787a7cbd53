"""One run from the terminal: described, or collected and reported."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

from nemo_gym.assembly.endpoint_wait import wait_for_model
from nemo_gym.assembly.loopback import open_loopback
from nemo_gym.cli.display import print_report, watch
from nemo_gym.cli.output import echo, number, print_error, print_json
from nemo_gym.cli.words import model_missing
from nemo_gym.environments.resources import ModelMissing
from nemo_gym.runs.loop import ending_signals, run_async
from nemo_gym.runs.paths import RunPaths
from nemo_gym.runs.plan import PlanOptions, expand
from nemo_gym.runs.report import RunReport, first_failure
from nemo_gym.runs.run import Job, Run
from nemo_gym.runs.task_sources import source_rows
from nemo_gym.wire import keys
from nemo_gym.wire.errors import VerifierFault
from nemo_gym.wire.task import named_agent

if TYPE_CHECKING:
    from nemo_gym.assembly.job import Assembly


def collect_run(assembly: Assembly, *, as_json: bool) -> int:
    """Collect the rollouts, show the progress, and print the report; the exit code.

    0: complete. 1: stopped by a failure, or nothing was scored. 130: interrupted by the user.

    Raises:
        GymError: the run can't begin.
    """
    return run_async(_collect_run(assembly, as_json))


async def _collect_run(assembly: Assembly, as_json: bool) -> int:
    job, ready_s = assembly.job, assembly.settings.model_ready_timeout or 0.0
    async with assembly.around or nullcontext():
        for spec in (job.model, *job.environment.models.values()):
            await wait_for_model(spec, ready_s, print_error)
        report = await collect(job)
        print_report(report, as_json=as_json)
        return exit_code(report)


async def collect(job: Job) -> RunReport:
    """Collect the rollouts of a job and show the progress. A signal ends it early.

    Raises:
        GymError: the run can't begin.
    """
    run = Run(job, serve_loopback=partial(open_loopback, job.capture))
    try:
        await run.prepare()
    except ModelMissing as error:
        raise model_missing(error) from None
    loop = asyncio.get_running_loop()
    for ending in ending_signals():
        loop.add_signal_handler(ending, run.stop, "interrupted", "interrupted")
    async with watch(run):
        return await run.collect()


def collect_with_driver(assembly: Assembly, *, as_json: bool) -> int:
    """Have the user's own driver collect, and print the files that it has written; its exit code.

    Raises:
        GymError: the driver can't be started.
    """
    from nemo_gym.assembly.collection_driver import run_driver  # few runs have a driver

    code = run_async(run_driver(assembly, sys.stderr if as_json else sys.stdout, print_error))
    files = [str(path) for path in RunPaths.of(assembly.job.output).existing()]
    if as_json:
        print_json({"exit_code": code, "files": files})
    else:
        for file in files:
            echo(file)
    return code


def exit_code(report: RunReport) -> int:
    """The exit code of a run, as `collect_run` describes it. One line says why a run ended early."""
    manifest = report.manifest
    if manifest.status != "complete":
        print_error(f"{manifest.reason}; the same command with --resume goes on from here")
        return 130 if manifest.status == "interrupted" else 1
    failure = first_failure(report.paths, report.summary.failed) if report.summary.failed else ""
    if manifest.counts["scored"]:
        if failure:
            print_error(_failures_line(report, failure))
        return 0
    if failure:
        print_error(f"nothing was scored; the first failure was {failure}")
    return 1


def _failures_line(report: RunReport, failure: str) -> str:
    """How many rollouts failed, the first cause, and what can be done."""
    failed, path = sum(report.summary.failed.values()), report.paths.rollouts
    text = f"{number(failed)} of {number(report.summary.requested)} rollouts failed, the first by {failure}"
    if set(report.summary.failed) == {VerifierFault.failure_class}:
        command = f"`gym eval reverify --rollouts {path} -o {path} --failed --append`"
        return f"{text}; once verify() is mended, {command} scores them"
    return (
        f"{text}; `gym runs show {path} --failed` prints them, "
        "and the same command with --resume tries them again"
    )


def print_plan(assembly: Assembly, *, as_json: bool) -> None:
    """Print what a run would be, without running it. All tasks are read and checked.

    Raises:
        UsageError: a task doesn't fit.
    """
    job = assembly.job
    rows = source_rows(
        job.environment.build(), job.sources, split=job.split, seed=job.seed or 0, limit=job.limit
    )
    default = job.agent_name or job.agent.arguments.get("agent") or job.agent.name or "the one that fits"
    tasks: set[int] = set()
    agents: Counter[str] = Counter()
    options = PlanOptions(num_repeats=job.num_repeats, agent=default, columns=job.columns)
    for row, _ in expand(rows, options):
        tasks.add(row[keys.TASK_INDEX])
        agents[named_agent(row)] += 1
    plan = {
        "environment": job.environment.ref or job.environment.url or None,
        "model": {key: value for key, value in job.model.public().items() if value},
        "servers": [] if job.environment.ref else list(job.environment.settings),
        "driver": assembly.settings.rollout_collection_driver,
        "tasks": len(tasks),
        "rollouts": agents.total(),
        "rollouts_by_agent": dict(agents),
        "output": str(job.output),
    }
    if as_json:
        print_json(plan)
        return
    for name, value in plan.items():
        if value:
            echo(f"{name.replace('_', ' '):<18} {_cell(value)}")
    echo("nothing was started")


def _cell(value: Any) -> str:
    match value:
        case dict():
            return ", ".join(f"{key} {_cell(one)}" for key, one in value.items())  # pyright: ignore
        case list():
            return ", ".join(map(str, value))  # pyright: ignore
        case int():
            return number(value)
        case _:
            return str(value)
