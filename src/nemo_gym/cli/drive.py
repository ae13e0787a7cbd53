"""Drive one run from the terminal."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

from nemo_gym.assembly.loopback import open_loopback
from nemo_gym.assembly.readiness import wait_for_model
from nemo_gym.cli.asks import missing
from nemo_gym.cli.display import print_report, watch
from nemo_gym.cli.texts import echo, number, print_error, print_json
from nemo_gym.environments.resources import ModelMissing
from nemo_gym.runs.loop import ending_signals, run_async
from nemo_gym.runs.paths import RunPaths
from nemo_gym.runs.report import RunReport, first_failure
from nemo_gym.runs.run import Job, Run
from nemo_gym.wire.errors import VerifierFault

if TYPE_CHECKING:
    from nemo_gym.assembly.job import Assembly


def drive(
    job: Job,
    *,
    as_json: bool,
    around: AbstractAsyncContextManager[None] | None = None,
    ready_s: float = 0.0,
) -> int:
    """Run the job, show it, print its report; the exit code. The run goes on inside `around`.

    Args:
        ready_s: seconds that the endpoint of each model is waited for.

    0: complete. 1: stopped by a failure, or nothing was scored. 130: interrupted by the user.
    """
    return run_async(_drive_in(around or nullcontext(), job, as_json, ready_s))


def drive_with(assembly: Assembly, *, as_json: bool) -> int:
    """Have a user's own driver collect, and print the files it wrote; its exit code.

    Raises:
        GymError: the driver can't be started.
    """
    from nemo_gym.assembly.collection_driver import collect_with_driver  # few runs have a driver

    work = collect_with_driver(assembly, sys.stderr if as_json else sys.stdout, print_error)
    code = run_async(work)
    files = [str(path) for path in RunPaths.of(assembly.job.output).existing()]
    if as_json:
        print_json({"exit_code": code, "files": files})
    else:
        for file in files:
            echo(file)
    return code


async def _drive_in(
    around: AbstractAsyncContextManager[None], job: Job, as_json: bool, ready_s: float
) -> int:
    async with around:
        for spec in (job.model, *job.environment.models.values()):
            await wait_for_model(spec, ready_s, print_error)
        return await _drive(job, as_json)


async def _drive(job: Job, as_json: bool) -> int:
    report = await collect(job)
    print_report(report, as_json=as_json)
    return exit_code(report)


async def collect(job: Job) -> RunReport:
    """Run the job and show it meanwhile; a signal ends it early.

    Raises:
        GymError: it can't begin.
    """
    run = Run(job, serve_loopback=partial(open_loopback, job.capture))
    try:
        await run.prepare()
    except ModelMissing as error:
        raise missing(error) from None
    loop = asyncio.get_running_loop()
    for ending in ending_signals():
        loop.add_signal_handler(ending, run.stop, "interrupted", "interrupted")
    async with watch(run):
        return await run.collect()


def exit_code(report: RunReport) -> int:
    """As of `drive`; it is said why a run ended early."""
    manifest = report.manifest
    if manifest.status != "complete":
        print_error(f"{manifest.reason}; the same command with --resume goes on from here")
        return 130 if manifest.status == "interrupted" else 1
    failure = first_failure(report.paths, report.summary.failed) if report.summary.failed else ""
    if manifest.counts["scored"]:
        if failure:
            print_error(_some_failed(report, failure))
        return 0
    if failure:
        print_error(f"nothing was scored; the first failure was {failure}")
    return 1


def _some_failed(report: RunReport, failure: str) -> str:
    """What is said where some rollouts failed and others not: the first cause, and what can be done."""
    failed, path = sum(report.summary.failed.values()), report.paths.rollouts
    text = f"{number(failed)} of {number(report.summary.requested)} rollouts failed, the first by {failure}"
    again = (
        f"; `gym runs show {path} --failed` prints them, and the same command with --resume tries them again"
    )
    if set(report.summary.failed) == {VerifierFault.failure_class}:
        again = (
            f"; once verify() is mended, `gym eval reverify --rollouts {path} -o {path} --failed --append` "
        )
        again += "scores them"
    return text + again
