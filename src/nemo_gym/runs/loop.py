"""The event loop everything runs on."""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

from nemo_gym.wire.errors import GymError
from nemo_gym.wire.exception_text import origin

T = TypeVar("T")

if sys.platform == "win32":
    new_event_loop = asyncio.new_event_loop
else:
    from uvloop import new_event_loop


def run_async(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on the fast loop, with as many file descriptors as the system lets us have.

    Raises:
        GymError: a task that an author's code started calls `sys.exit`, which ends the loop.
    """
    allow_many_files()
    # Rollouts leave next to no reference cycles: look for them a hundred times less often than by default,
    # and never among what was imported.
    gc.freeze()
    gc.set_threshold(70_000, 20, 20)
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(main)
    except SystemExit as error:
        raise GymError(f"code that ran in a task of its own calls sys.exit{origin(error)}") from error


def allow_many_files() -> None:
    """Raise this process's limit of open files as far as the system lets us, up to 65535."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65535 if hard == resource.RLIM_INFINITY else min(65535, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def ending_signals() -> list[signal.Signals]:
    """The signals that end runs and servers in good order: a hang-up too, unless `nohup` has it ignored."""
    hangs_up = signal.getsignal(signal.SIGHUP) != signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hangs_up else [])]
