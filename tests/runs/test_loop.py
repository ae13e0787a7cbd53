"""The event loop everything runs on."""

from __future__ import annotations

import asyncio
import gc
import re
import sys
from collections.abc import Iterator

import pytest

from nemo_gym.runs.loop import run_async
from nemo_gym.wire.errors import GymError


@pytest.fixture(autouse=True)
def collection() -> Iterator[None]:
    """Put the garbage collector's settings back."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


async def leave() -> None:
    sys.exit(3)


def test_a_task_that_exits_is_named_and_does_not_end_the_process_without_a_word() -> None:
    async def main() -> None:
        await asyncio.create_task(leave())

    line = leave.__code__.co_firstlineno + 1
    with pytest.raises(GymError, match=re.escape(f"calls sys.exit ({__file__}:{line})")):
        run_async(main())
