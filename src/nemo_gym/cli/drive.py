"""Drive one run from the terminal."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AbstractAsyncContextManager, nullcontext

from nemo_gym.agents.door import ModelDoor
from nemo_gym.cli.display import print_report, watch
from nemo_gym.cli.texts import print_error
from nemo_gym.environments.link import EnvironmentLink
from nemo_gym.models.base import Model
from nemo_gym.runs.loop import run_async
from nemo_gym.runs.run import Job, Run
from nemo_gym.wire.errors import UsageError


def drive(job: Job, *, as_json: bool, around: AbstractAsyncContextManager[None] | None = None) -> int:
    """Run the job, show it, print its report; the exit code. The run goes on inside `around`.

    0: complete. 1: stopped by a failure, or nothing was scored. 130: interrupted by the user.
    """
    return run_async(_drive_in(around or nullcontext(), job, as_json))


async def _drive_in(around: AbstractAsyncContextManager[None], job: Job, as_json: bool) -> int:
    async with around:
        return await _drive(job, as_json)


async def _drive(job: Job, as_json: bool) -> int:
    run = Run(job, open_doors=_open_doors)
    await run.prepare()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, run.stop, "interrupted", "interrupted")
    async with watch(run):
        report = await run.collect()
    print_report(report, as_json=as_json)
    manifest = report.manifest
    if manifest.status != "complete":
        print_error(f"{manifest.reason}; the same command with --resume goes on from here")
        return 130 if manifest.status == "interrupted" else 1
    return 0 if manifest.counts["scored"] else 1


def _open_doors(model: Model, link: EnvironmentLink) -> tuple[ModelDoor, EnvironmentLink]:
    """Needed by few runs, and by those the server's libraries."""
    try:
        from nemo_gym.serving.door import LoopbackDoor
        from nemo_gym.serving.tools_door import open_tools
    except ImportError:
        raise UsageError("this agent needs an HTTP server: pip install 'nemo-gym[serve]'") from None
    return LoopbackDoor(model), open_tools(link)
