"""Runs the `gym` command in forks of one process that has imported it already.

Half of the CPU of the test suite was the import of the same modules in hundreds of processes, and most of the
rest the deletion of those modules at the end of each. Every command still has a process, a working folder and
an environment of its own. At its end its threads are waited for, the functions of `atexit` are called, and
unreachable objects are collected, whose complaints go to standard error.

Over the socket comes one JSON line a command, with the three standard files beside it; the process id and
then the exit code go back, one line each.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import socket
import sys
import threading
from contextlib import redirect_stdout, suppress
from importlib import import_module

from nemo_gym.cli.main import main
from nemo_gym.environments.discovery import list_environments
from nemo_gym.serving.fork_server_main import PRELOADED as SERVER_PROGRAMS

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
    "nemo_gym.config.catalogue",
    "nemo_gym.config.selection",
    "nemo_gym.serving.gym_control",
    "nemo_gym.assembly.servers",
    "nemo_gym.cli.serve",
    "nemo_gym.cli.environment_settings",
    "nemo_gym.agents.remote_run",
    "nemo_gym.assembly.scorers",
    "nemo_gym.runs.metrics_recompute",
    "nemo_gym.workloads.verifier_cases",
    "nemo_gym.datasets.settings",
    "nemo_gym.sandbox.providers.registry",
    "nemo_gym.library.knowledge.mcqa.environment",
    *SERVER_PROGRAMS,
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
    list_environments(roots=[])
    sys.argv = ["gym", "--version"]
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), suppress(SystemExit):
        main()
    gc.collect()
    gc.freeze()  # The forks share these objects, and don't look at them.


def run_and_exit() -> None:
    """Run the command, and end the process as Python does, but without deleting every module first."""
    try:
        main()
    except SystemExit as end:
        threading._shutdown()
        atexit._run_exitfuncs()
        gc.collect()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code or 0)


if __name__ == "__main__":
    channel = socket.socket(fileno=int(sys.argv[1]))
    warm_up()
    if serve(channel):
        run_and_exit()
