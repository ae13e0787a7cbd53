"""Signals, such as Ctrl-C, that must not wait for the next event of an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

WAKE_S: Final = 1.0


@contextmanager
def waking_loop() -> Generator[None]:
    """Wake the running event loop once a second.

    Python runs a signal's handler between two of its own instructions. Without a wakeup descriptor, which
    `asyncio.run` does not set, a signal that arrives just before the loop starts to wait is handled only when
    something else ends the wait, and in a loop that has nothing to do that is never.
    """
    loop = asyncio.get_running_loop()

    def wake() -> None:
        nonlocal timer
        timer = loop.call_later(WAKE_S, wake)

    timer = loop.call_later(WAKE_S, wake)
    try:
        yield
    finally:
        timer.cancel()
