"""Serve one launch until it is told to stop: called by `gym env start`, or run as a program.

As a program it reads the launch from standard input. Given a file descriptor's number it reports there,
and otherwise prints, when everything is up or what went wrong.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from contextlib import ExitStack, suppress
from time import time
from typing import Any, Final, TypeVar

import msgspec

from nemo_gym.assembly.readiness import READINESS, wait_for_endpoints
from nemo_gym.assembly.servers import report_lost
from nemo_gym.cli.banner import print_banner
from nemo_gym.cli.terminal import safe_output
from nemo_gym.cli.texts import print_error
from nemo_gym.runs.loop import run_async
from nemo_gym.serving.launch import Launch, read_launch
from nemo_gym.serving.redaction import Redactor, log_redacted
from nemo_gym.serving.running_gyms import RunningGym, register, runtime_folder, token_file
from nemo_gym.serving.secrets import Secret
from nemo_gym.serving.server_process import ServerProcess
from nemo_gym.serving.servers import Servers
from nemo_gym.serving.stop_signals import stop_event
from nemo_gym.wire.errors import GymError

T = TypeVar("T")


class Report(msgspec.Struct):
    """What became of starting."""

    error: str = ""
    servers: list[dict[str, Any]] = []
    head_url: str = ""
    pid: int = 0
    seconds: float = 0.0
    """From the command to the last server's first answer."""


def serve(launch: Launch, report_fd: int | None = None) -> int:
    """Start, say so, and serve until a signal ends it; the exit code.

    Raises:
        GymError: a server did not start.
    """
    log_redacted(Redactor(launch.secrets), verbose=bool(launch.tree.get("verbose")))
    return run_async(_serve(launch, report_fd))


async def _serve(launch: Launch, report_fd: int | None) -> int:
    stop = stop_event(launch.grace_s, print_error)
    lost: list[str] = []

    def notice(child: ServerProcess, code: int) -> None:
        lost.append(child.name)
        report_lost(print_error, child, code)

    servers = Servers(launch, on_end=notice)
    folder = runtime_folder()
    with ExitStack() as cleanup:
        token = cleanup.enter_context(token_file(Secret(launch.token), folder)) if launch.token else ""
        state = RunningGym(
            pid=os.getpid(),
            head_url=servers.head_url,
            logs=launch.logs,
            token_file=str(token),
            started_at=launch.started_at,
        )
        cleanup.enter_context(register(state, folder))
        await _until(stop, _start(servers))
        if stop.is_set():
            await servers.stop(grace_s=0.0)
            return 130
        if seconds := float(launch.tree.get(READINESS) or 0.0):
            waiting = wait_for_endpoints(servers.unreachable, seconds, print_error)
            if problems := await _until(stop, waiting):
                await servers.stop(grace_s=0.0)
                raise GymError("; ".join(problems))
        _tell(servers, launch, report_fd)
        for problem in await _until(stop, servers.unreachable()) or ():
            print_error(f"warning: {problem}")
        await stop.wait()
        await servers.stop()
    return 1 if lost else 0


async def _start(servers: Servers) -> None:
    starting = asyncio.create_task(servers.start())
    try:
        while not (await asyncio.wait({starting}, timeout=_PATIENCE_S))[0]:
            print_error(f"waiting for {', '.join(sorted(servers.waiting))}")
        await starting
    finally:
        starting.cancel()


async def _until(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """What `work` gives; it is cancelled, and None given, once `stop` is set."""
    working, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else None
    finally:
        stopped.cancel()
        working.cancel()
        await asyncio.gather(working, stopped, return_exceptions=True)


def _tell(servers: Servers, launch: Launch, report_fd: int | None) -> None:
    rows = [one.row() for one in servers.running]
    report = Report("", rows, servers.head_url, os.getpid(), time() - launch.started_at)
    if report_fd is None:
        print_banner(report.servers, head_url=report.head_url, seconds=report.seconds, stop="Ctrl-C stops it")
    else:
        send_report(report, report_fd)


def send_report(report: Report, fd: int) -> None:
    """Write it for the process that waits for it, if it still does."""
    with suppress(BrokenPipeError), os.fdopen(fd, "wb") as file:
        file.write(msgspec.json.encode(report))


_PATIENCE_S: Final = 3.0
"""Seconds between the lines that say what is being waited for."""


def main(words: list[str]) -> int:
    """The program: see the module's docstring."""
    launch = read_launch(0)
    report_fd = int(words[0]) if words else None
    if report_fd is not None:
        os.set_inheritable(report_fd, False)
    try:
        return serve(launch, report_fd)
    except GymError as error:
        print_error(str(error))
        if report_fd is not None:
            send_report(Report(str(error)), report_fd)
        return error.exit_code


if __name__ == "__main__":
    with safe_output():
        sys.exit(main(sys.argv[1:]))
