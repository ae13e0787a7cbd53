"""An event loop in which time passes at once, and one whose clock a test puts forward."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any


class VirtualTime(selectors.SelectSelector):
    """Time passes at once: what would be waited for is added to the clock."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        self.now += timeout or 0.0
        return super().select(0)


def run_virtual(work: Coroutine[Any, Any, Any]) -> Any:
    selector = VirtualTime()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(work)


def pass_time(seconds: float) -> None:
    """Put the clock of the running loop forward: timers that expire within these seconds expire now."""
    loop = asyncio.get_running_loop()
    clock = loop.time
    loop.time = lambda: clock() + seconds  # type: ignore[method-assign]


async def run_out_of_time(work: Coroutine[Any, Any, Any], *, once: Callable[[], object]) -> Any:
    """What comes of `work` when two minutes pass as soon as something is so."""
    running = asyncio.create_task(work)
    while not once():
        assert not running.done(), running
        await asyncio.sleep(0.01)
    pass_time(120)
    return await running
