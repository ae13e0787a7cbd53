"""Idempotent requests: a repeated request gets the first answer and is not carried out again."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """The latest answers by key. A repeated request gets the first answer or error, or waits for it.

    Args:
        keep: how many answers are remembered.
    """

    def __init__(self, *, keep: int = 4096) -> None:
        self._keep = keep
        self._answers: OrderedDict[Hashable, asyncio.Task[T]] = OrderedDict()

    async def answer(self, key: Hashable, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The answer of the first `make` for this key; it goes on when the first caller is cancelled."""
        task = self._answers.get(key)
        if task is None:
            task = self._answers[key] = asyncio.create_task(make())
            if len(self._answers) > self._keep:
                self._answers.popitem(last=False)
        return await asyncio.shield(task)
