"""An event loop in a thread, for programs that call from any thread or loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import cache
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


async def in_background(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which runs on the one loop of this process. Environments and their connections
    belong to a loop, but Data Designer may call a column from several."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, _loop()))


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    Thread(target=loop.run_forever, name="nemo-gym-columns", daemon=True).start()
    return loop
