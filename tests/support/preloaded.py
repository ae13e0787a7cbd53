"""Runs the `gym` command in forks of one process that has imported it already.

Half of the CPU of the test suite was the import of the same modules in hundreds of processes. Each
command still has a process, a working folder, an environment and an exit of its own.

Over the socket comes one JSON line a command, with the three standard files beside it; the process id and
then the exit code go back, one line each.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import redirect_stdout, suppress
from importlib import import_module

from nemo_gym.cli.main import main

PRELOAD = (
    "nemo_gym.assembly.job",
    "nemo_gym.cli.collection",
    "nemo_gym.assembly.configuration",
    "nemo_gym.config.resolve",
    "nemo_gym.runs.run",
    "nemo_gym.transport.http",
    "nemo_gym.models.registry",
    "nemo_gym.agents.registry",
    "nemo_gym.serving.launch",
    "nemo_gym.agents.tool_loop",
    "nemo_gym.environments.conformance.check",
)


def serve(channel: socket.socket) -> bool:
    """Fork once for each command; False when no more come, True in the fork that is to run one."""
    buffer = b""
    while True:
        data, files, _, _ = socket.recv_fds(channel, 1 << 16, 3)
        if not data:
            return False
        buffer += data
        while not buffer.endswith(b"\n"):
            buffer += channel.recv(1 << 16)
        command, buffer = json.loads(buffer), b""
        if not (pid := os.fork()):
            channel.close()
            for number, file in enumerate(files):
                os.dup2(file, number)
                os.close(file)
            os.chdir(command["cwd"])
            os.environ.clear()
            os.environ.update(command["environ"])
            sys.argv = ["gym", *command["words"]]
            return True
        for file in files:
            os.close(file)
        channel.sendall(b"%d\n" % pid)
        channel.sendall(b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def warm_up() -> None:
    """Import what most commands need; running one brings in what the command line imports by itself."""
    for name in PRELOAD:
        import_module(name)
    sys.argv = ["gym", "--version"]
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), suppress(SystemExit):
        main()


if __name__ == "__main__":
    channel = socket.socket(fileno=int(sys.argv[1]))
    warm_up()
    if serve(channel):
        main()
