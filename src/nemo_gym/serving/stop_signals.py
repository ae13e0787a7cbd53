"""Ctrl-C and other signals that stop servers: the first begins the stop, the second ends the process."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Final

from nemo_gym.runs.loop import ending_signals

LAST_S: Final = 10.0
"""Seconds that a stop may take after the grace, to cancel requests and close sessions and back ends."""


def stop_event(grace_s: float, write: Callable[[str], None], *, last_s: float = LAST_S) -> asyncio.Event:
    """An event that the first signal to stop sets, for a process that only serves.

    The second signal ends the process at once; a stop that hangs ends it too, and prints where each thread
    hangs. Both work even while some code blocks the event loop. Child processes end with this one.

    Args:
        grace_s: seconds that requests in flight have to finish.
        write: prints a line for the user.
        last_s: seconds after the grace at which the process ends in any case.
    """
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    is_stopping = False

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal is_stopping
        if is_stopping:
            os._exit(130)
        is_stopping = True
        faulthandler.dump_traceback_later(grace_s + last_s, file=_STDERR, exit=True)
        with suppress(RuntimeError, OSError):  # a closed loop or terminal, an interrupted print
            loop.call_soon_threadsafe(stop.set)
            write(f"stopping: requests in flight have {grace_s:g} s to finish; a second Ctrl-C ends at once")

    for number in ending_signals():
        signal.signal(number, handle)  # a handler of the loop would wait for code that blocks it
    return stop


_STDERR: Final = 2
