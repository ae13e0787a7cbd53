"""The program of a child process that serves: `python -m nemo_gym.serving.server_process_main NAME`.

It reads a `Launch` from standard input, which stays open as long as the parent lives. When it closes, this
process ends, and all that it started.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import runpy
import signal
import sys
import threading
from pathlib import Path
from time import sleep
from typing import Final

from nemo_gym.config.tree import to_yaml
from nemo_gym.runs.loop import ending_signals, run_async
from nemo_gym.serving.components import Components
from nemo_gym.serving.host import Host
from nemo_gym.serving.launch import Launch, read_launch
from nemo_gym.serving.redaction import Redactor, log_redacted
from nemo_gym.wire.errors import GymError

CONFIG_VARIABLE: Final = "NEMO_GYM_CONFIG_DICT"
INSTANCE_VARIABLE: Final = "NEMO_GYM_CONFIG_PATH"
TOKEN_SETTING: Final = "server_token"
"""The setting with the token, in the configuration of a program."""


def main(name: str) -> None:
    """Serve one instance until a signal stops it."""
    lifeline = os.dup(0)
    launch = read_launch(lifeline)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    threading.Thread(target=_die_with_parent, args=(lifeline,), daemon=True).start()
    program = launch.program(name)
    try:
        if program is None:
            run_async(_serve(launch, name))
        else:
            _run_program(program, name, launch)
    except GymError as error:
        sys.exit(str(error))


def _run_program(program: Path, name: str, launch: Launch) -> None:
    """Run the program of an existing server as the original package starts it. The variables are set in this
    running process, so that no listing of processes shows them."""
    token = {TOKEN_SETTING: launch.token} if launch.token else {}
    os.environ[CONFIG_VARIABLE] = to_yaml({**launch.tree, **token})
    os.environ[INSTANCE_VARIABLE] = name
    os.chdir(program.parent)
    sys.argv = [program.name]
    sys.path.insert(0, str(program.parent))
    sys.path.append(str(program.parents[2]))
    runpy.run_path(str(program), run_name="__main__")


async def _serve(launch: Launch, name: str) -> None:
    log_redacted(Redactor(launch.secrets), verbose=bool(launch.tree.get("verbose")))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in ending_signals():
        loop.add_signal_handler(number, stop.set)
    options = launch.app_options(name)
    components = Components(launch.instances, frozenset({name}), options)
    host = Host(options.host_names, header_bytes=options.limits.header_bytes)
    if options.profile:
        options.profile.start()
    try:
        await host.serve(name, await components.app(name), launch.listener(name))
        await stop.wait()
        await host.stop([name], grace_s=launch.grace_s)
    finally:
        await components.aclose()
        if options.profile:
            options.profile.stop()


def _die_with_parent(lifeline: int) -> None:
    while os.read(lifeline, 4096):
        pass
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(0, signal.SIGTERM)
        sleep(_LAST_SECONDS)
        os.killpg(0, signal.SIGKILL)


_LAST_SECONDS: Final = 2.0


if __name__ == "__main__":
    main(sys.argv[1])
