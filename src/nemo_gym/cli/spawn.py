"""Another process that serves: in the background, or in place of this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile
from typing import NoReturn

import msgspec

from nemo_gym.cli.banner import print_banner
from nemo_gym.cli.serve import Report
from nemo_gym.cli.texts import echo, print_error
from nemo_gym.serving.launch import Launch
from nemo_gym.serving.server_process import HIDDEN_VARIABLES

OUTPUT = "gym.log"
"""What the background process prints, in the launch's folder of logs."""


def serve_in_background(launch: Launch) -> int:
    """Start a process of its own session that serves, and wait until it is up; the exit code."""
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
    return _show(msgspec.json.decode(content, type=Report) if content else None, launch, logs / OUTPUT)


def shown_in_arguments(launch: Launch) -> bool:
    """Whether this process's arguments, which every user can list, hold a secret of the launch."""
    return any(secret in word for secret in launch.secrets for word in sys.argv[1:])


def become(launch: Launch) -> NoReturn:
    """Replace this process by one without arguments that serves the launch."""
    for fd in launch.sockets.values():
        os.set_inheritable(fd, True)
    with TemporaryFile() as file:
        file.write(launch.pack())
        file.flush()
        file.seek(0)
        os.dup2(file.fileno(), 0)
    os.execve(sys.executable, _PROGRAM, _environment())  # noqa: S606 - an argument list, no shell


def _show(report: Report | None, launch: Launch, output: Path) -> int:
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
    """Without the key, which is in the launch."""
    return {name: value for name, value in os.environ.items() if name not in HIDDEN_VARIABLES}


_PROGRAM = [sys.executable, "-P", "-m", "nemo_gym.cli.serve"]
