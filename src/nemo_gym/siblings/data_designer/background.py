"""An event loop in a thread, for programs that call from any thread or loop."""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import cache
from threading import Thread
from typing import Any, Final, TypeVar

T = TypeVar("T")


async def in_background(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which runs on the one loop of this process. Environments and their connections
    belong to a loop, but Data Designer may call a column from several."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, _loop()))


def close_at_exit(close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Await `close` on that loop when this process ends."""

    def end() -> None:
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(close(), _loop()).result(_GRACE_S)

    atexit.register(end)


_GRACE_S: Final = 5.0
"""Seconds that a `close` may take."""


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    Thread(target=loop.run_forever, name="nemo-gym-columns", daemon=True).start()
    return loop
