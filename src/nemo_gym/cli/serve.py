"""Serve one launch until a signal ends it: in this process, in the background, or in place of this process.

`gym env start` calls this module, and it is also the program of the other processes. As a program it reads
the launch from standard input. With the number of a file descriptor as its argument it writes a `Report`
there once everything is up or has failed; without one it prints it.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Coroutine
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryFile
from time import time
from typing import Any, Final, NoReturn, TypeVar

import msgspec

from nemo_gym.assembly.endpoint_wait import READINESS, wait_for_endpoints
from nemo_gym.assembly.servers import report_lost
from nemo_gym.cli.console import print_banner
from nemo_gym.cli.output import echo, print_error, safe_output
from nemo_gym.runs.loop import run_async
from nemo_gym.serving.launch import Launch, read_launch
from nemo_gym.serving.redaction import Redactor, log_redacted
from nemo_gym.serving.running_gyms import RunningGym, register, runtime_folder, token_file
from nemo_gym.serving.secrets import Secret
from nemo_gym.serving.server_process import HIDDEN_VARIABLES, ServerProcess
from nemo_gym.serving.servers import Servers
from nemo_gym.serving.stop_signals import stop_event
from nemo_gym.wire.errors import GymError

T = TypeVar("T")

OUTPUT: Final = "gym.log"
"""The file of the background process's output, in the launch's folder of logs."""


class Report(msgspec.Struct):
    """The servers that have started, or the error."""

    error: str = ""
    servers: list[dict[str, Any]] = []
    head_url: str = ""
    pid: int = 0
    seconds: float = 0.0
    """From the command to the last server's first answer."""


def serve(launch: Launch, report_fd: int | None = None) -> int:
    """Start the servers, report it, and serve until a signal; the exit code.

    Raises:
        GymError: a server did not start.
    """
    log_redacted(Redactor(launch.secrets), verbose=bool(launch.tree.get("verbose")))
    return run_async(_serve(launch, report_fd))


def serve_in_background(launch: Launch) -> int:
    """Start a process in its own session that serves, and wait until everything is up; the exit code."""
    logs = Path(launch.logs)
    logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    reading, writing = os.pipe()
    fds = [*launch.sockets.values(), writing]
    with os.fdopen(os.open(logs / OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as output:
        process = subprocess.Popen(
            [*_PROGRAM, str(writing)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            pass_fds=fds,
            env=_environment(),
            start_new_session=True,
        )
    for fd in fds:
        os.close(fd)
    assert process.stdin is not None
    with process.stdin as pipe, os.fdopen(reading, "rb") as report_pipe:
        pipe.write(launch.pack())
        pipe.close()
        try:
            content = report_pipe.read()
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise
    report = msgspec.json.decode(content, type=Report) if content else None
    if report is None or report.error:
        process.wait()  # A failed start leaves no process.
    return _print_outcome(report, launch, logs / OUTPUT)


def is_secret_visible(launch: Launch) -> bool:
    """Whether this process's arguments, which every user can list, hold a secret of the launch."""
    return any(secret in word for secret in launch.secrets for word in sys.argv[1:])


def replace_process(launch: Launch) -> NoReturn:
    """Replace this process by one without arguments that serves the launch."""
    for fd in launch.sockets.values():
        os.set_inheritable(fd, True)
    with TemporaryFile() as file:
        file.write(launch.pack())
        file.flush()
        file.seek(0)
        os.dup2(file.fileno(), 0)
    os.execve(sys.executable, _PROGRAM, _environment())  # noqa: S606 - an argument list, no shell


def _print_outcome(report: Report | None, launch: Launch, output: Path) -> int:
    if report is None:
        lines = output.read_text(errors="replace").splitlines()[-20:]
        lines = "".join(f"\n  | {line}" for line in lines)
        print_error(f"the background process ended before the servers were up. Its last output:{lines}")
        return 1
    if report.error:
        print_error(report.error)
        return 1
    how = f"gym env stop --port {launch.tree['head_server']['port']} stops it"
    print_banner(report.servers, head_url=report.head_url, seconds=report.seconds, stop=how)
    echo(f"logs: {launch.logs}")
    return 0


def _environment() -> dict[str, str]:
    """The environment variables without the model's key, which is in the launch."""
    return {name: value for name, value in os.environ.items() if name not in HIDDEN_VARIABLES}


_PROGRAM: Final = [sys.executable, "-P", "-m", "nemo_gym.cli.serve"]


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
        _report_started(servers, launch, report_fd)
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
    """The result of `work`; None when `stop` is set before, which cancels the work."""
    working, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else None
    finally:
        stopped.cancel()
        working.cancel()
        await asyncio.gather(working, stopped, return_exceptions=True)


def _report_started(servers: Servers, launch: Launch, report_fd: int | None) -> None:
    rows = [one.row() for one in servers.running]
    report = Report("", rows, servers.head_url, os.getpid(), time() - launch.started_at)
    if report_fd is None:
        print_banner(report.servers, head_url=report.head_url, seconds=report.seconds, stop="Ctrl-C stops it")
    else:
        send_report(report, report_fd)


def send_report(report: Report, fd: int) -> None:
    """Write the report for the process that waits for it, if it still does."""
    with suppress(BrokenPipeError), os.fdopen(fd, "wb") as file:
        file.write(msgspec.json.encode(report))


_PATIENCE_S: Final = 3.0
"""Seconds between the lines about servers that have not started yet."""


def main(words: list[str]) -> int:
    """The program that the docstring of this module describes."""
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
