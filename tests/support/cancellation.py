"""Cancels a coroutine at each of the places where it waits."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Literal

When = Literal["at once", "at the end"]
"""Of a wait: the cancellation comes before what is waited for, or in the same instant."""

PATIENCE_S = 60.0
MOST_WAITS = 500


@types.coroutine
def _cancelled_at(wait: int, when: When, work: Coroutine[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """Pass on what `work` waits for, and cancel the running task at one wait."""
    task = asyncio.current_task()
    assert task is not None
    resume: Callable[[], Any] = lambda: work.send(None)  # noqa: E731
    for count in range(MOST_WAITS):
        try:
            future = resume()
        except StopIteration as end:
            return end.value
        if count == wait and (when == "at once" or future is None):
            task.cancel()
        elif count == wait:
            future.add_done_callback(lambda _: task.cancel())
        try:
            result = yield future
            resume = lambda result=result: work.send(result)  # noqa: E731
        except BaseException as error:
            resume = lambda error=error: work.throw(error)  # noqa: E731
    raise AssertionError("it waits without an end")


async def cancel_at(wait: int, when: When, work: Coroutine[Any, Any, Any]) -> bool:
    """Cancel `work` at the wait with this number, from 0; whether it had so many.

    Raises:
        AssertionError: it does not end, or does not end as cancelled.
    """

    async def run() -> Any:
        return await _cancelled_at(wait, when, work)

    task = asyncio.create_task(run())
    _, running = await asyncio.wait([task], timeout=PATIENCE_S)
    if running:
        task.cancel()
        raise AssertionError(f"it goes on although it was cancelled {when} of wait {wait}")
    if task.cancelled():
        return True
    requests = task.cancelling()
    assert not requests, (
        f"cancelled {when} of wait {wait}, it ended with {task.exception() or task.result()!r}"
    )
    task.result()
    return False
