"""Drive one run from the terminal."""

from __future__ import annotations

import asyncio
import signal

from nemo_gym.agents.door import ModelDoor
from nemo_gym.cli.display import print_report, watch
from nemo_gym.cli.texts import print_error
from nemo_gym.models.base import Model
from nemo_gym.runs.loop import run_async
from nemo_gym.runs.run import Job, Run
from nemo_gym.wire.errors import UsageError


def drive(job: Job, *, as_json: bool) -> int:
    """Run the job, show it, print its report; the exit code.

    0: complete. 1: stopped by a failure, or nothing was scored. 130: interrupted by the user.
    """
    return run_async(_drive(job, as_json))


async def _drive(job: Job, as_json: bool) -> int:
    run = Run(job, open_door=_open_door)
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


def _open_door(model: Model) -> ModelDoor:
    """Needed by few runs, and by those the server's libraries."""
    try:
        from nemo_gym.serving.door import LoopbackDoor
    except ImportError:
        raise UsageError("this agent needs an HTTP server: pip install 'nemo-gym[serve]'") from None
    return LoopbackDoor(model)
