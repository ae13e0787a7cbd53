"""The event loop of every command."""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

from uvloop import new_event_loop

from nemo_gym.wire.errors import GymError
from nemo_gym.wire.exception_text import origin

T = TypeVar("T")


def run_async(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on the fast event loop, with as many file descriptors as the system allows.

    Raises:
        GymError: a task that an author's code started calls `sys.exit`, which ends the loop.
    """
    allow_many_files()
    # Rollouts leave almost no reference cycles, so the garbage collector runs a hundred times less often than
    # by default, and skips the modules that are loaded now.
    gc.freeze()
    gc.set_threshold(70_000, 20, 20)
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(main)
    except SystemExit as error:
        raise GymError(f"code that ran in a task of its own calls sys.exit{origin(error)}") from error


def allow_many_files() -> None:
    """Raise this process's limit of open files as far as the system allows, up to 65535."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 65535 if hard == resource.RLIM_INFINITY else min(65535, hard)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def ending_signals() -> list[signal.Signals]:
    """The signals that end runs and servers in good order: a hang-up too, unless `nohup` turned it off."""
    hangs_up = signal.getsignal(signal.SIGHUP) != signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hangs_up else [])]
