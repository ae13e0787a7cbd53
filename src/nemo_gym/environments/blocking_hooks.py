"""`@blocking`: runs a method that blocks or computes for a long time in a thread of its environment."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from nemo_gym.support.threads import WorkerThreads
from nemo_gym.wire.errors import UsageError

if TYPE_CHECKING:
    from nemo_gym.environments.base import Environment

log: Final = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

LAST_S: Final = 2.0
"""Seconds that threads have to finish their work when their environment is closed."""


def blocking(method: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Run a sync hook or `@tool` method of an Environment in a thread, so that other rollouts can go on.

    The method becomes async, and many calls of it run at the same time. When its rollout is cancelled or out
    of time, the result is dropped. The function of a one-function environment can be blocking too.

    Raises:
        UsageError: the method is async already.
    """
    if inspect.iscoroutinefunction(method):
        code = method.__code__
        raise UsageError(
            f"{code.co_filename}:{code.co_firstlineno}: @blocking is for sync methods, and "
            f"{method.__name__} is async: drop @blocking, or make it a plain `def`"
        )

    @functools.wraps(method)
    async def in_thread(*args: P.args, **kwargs: P.kwargs) -> T:
        environment: Any = args[0]
        threads: WorkerThreads = environment.executor
        context = contextvars.copy_context()
        future = threads.submit(lambda: context.run(_call, method, *args, **kwargs))
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            threads.give_up(future)
            raise

    in_thread.__gym_blocking__ = True  # type: ignore[attr-defined]
    return in_thread


def is_blocking(function: Callable[..., Any]) -> bool:
    """Whether a function is decorated with `@blocking`."""
    return getattr(function, "__gym_blocking__", False)


async def end_threads(environment: Environment) -> None:
    """End the threads of an environment; later calls get new threads. A thread that does not finish in time
    is reported in a warning, and ends with this process at the latest."""
    threads: WorkerThreads | None = vars(environment).pop("executor", None)
    if threads is None:
        return
    if running := await threads.aclose(LAST_S):
        log.warning(
            "%s: %d blocking calls still run after %g s; their results are dropped",
            environment.name(),
            running,
            LAST_S,
        )


def _call(method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of a method. A StopIteration becomes another error, because a future can't hold it."""
    try:
        return method(*args, **kwargs)
    except StopIteration as error:
        raise RuntimeError(f"{method.__name__} raised StopIteration") from error
