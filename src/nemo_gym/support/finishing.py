"""Work that goes on to its end when whoever waits for it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def finish(work: asyncio.Future[T] | Coroutine[Any, Any, T]) -> T:
    """What `work` returns. A cancellation is raised only once the work has ended; a second one at once."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # nobody else looks at it
        raise


async def obtain(making: Coroutine[Any, Any, T], release: Callable[[T], Awaitable[object]]) -> T:
    """What `making` returns. After a cancellation nobody would have it, so it is released as soon as it is
    there. The cancellation is raised then; a third one at once, and the release goes on."""
    task = asyncio.ensure_future(making)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await finish(_released(task, release))
        raise


async def _released(task: asyncio.Future[T], release: Callable[[T], Awaitable[object]]) -> None:
    await asyncio.wait([task])
    if not task.cancelled() and task.exception() is None:
        await release(task.result())
