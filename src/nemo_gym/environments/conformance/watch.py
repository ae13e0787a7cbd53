"""What the hooks of one environment object do to the event loop and the process while they run."""

from __future__ import annotations

import functools
import inspect
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

from nemo_gym.environments.base import Environment
from nemo_gym.environments.session import Session


@dataclass(frozen=True, slots=True)
class Stall:
    """The longest time a hook kept the event loop to itself."""

    seconds: float
    """Wall-clock seconds, without those spent waiting for a processor that others were using."""
    cpu: float
    """Seconds of it spent computing in this thread; the rest was sleeping or blocked."""


class Watch:
    """Wraps the hooks and tools of an environment object, so that each stretch between two awaits is seen."""

    def __init__(self, environment: Environment) -> None:
        self.stalls: dict[str, Stall] = {}
        """The longest stall of each hook since the last `restart`."""
        self.closed: Counter[str] = Counter()
        """How often `close` was called, by session id."""
        self.changed_random: str | None = None
        """The first hook that changed the process-wide state of `random`."""
        for name in (*_HOOKS, *_tool_names(environment)):
            if function := getattr(environment, name, None):
                setattr(environment, name, self._watched(name, function))

    def restart(self) -> None:
        """Forget the stalls seen so far."""
        self.stalls = {}

    def _watched(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if name == "close":
                self._count_close(*args, **kwargs)
            with self._stretch(name):
                result = function(*args, **kwargs)
            return _Watched(result, lambda: self._stretch(name)) if inspect.isawaitable(result) else result

        return call

    def _count_close(self, session: Session) -> None:
        self.closed[session.id] += 1

    @contextmanager
    def _stretch(self, name: str) -> Generator[None, None, None]:
        state = random.getstate()
        delay, cpu, wall = _queued(), thread_time(), perf_counter()
        try:
            yield
        finally:
            wall, cpu, delay = perf_counter() - wall, thread_time() - cpu, _queued() - delay
            seconds = max(wall - delay, cpu)
            if name not in self.stalls or seconds > self.stalls[name].seconds:
                self.stalls[name] = Stall(seconds, cpu)
            if self.changed_random is None and random.getstate() != state:
                self.changed_random = name


_HOOKS = ("seed", "verify", "close", "oracle", "reset", "step")
_SCHEDULER = Path("/proc/thread-self/schedstat")


class _Watched:
    """An awaitable that enters a stretch each time the event loop resumes the one inside."""

    def __init__(self, inner: Awaitable[Any], stretch: Callable[[], Any]) -> None:
        self._inner = inner
        self._stretch = stretch

    def __await__(self) -> Generator[Any, Any, Any]:
        inner: Any = self._inner.__await__()
        resume: Callable[[], Any] = lambda: next(inner)  # noqa: E731
        while True:
            try:
                with self._stretch():
                    waited_for = resume()
            except StopIteration as stop:
                return stop.value
            try:
                yield waited_for
            except BaseException as error:
                resume = functools.partial(inner.throw, error)
            else:
                resume = functools.partial(next, inner)


def _tool_names(environment: Environment) -> list[str]:
    return [
        name for name in dir(type(environment)) if hasattr(getattr(type(environment), name), "__gym_tool__")
    ]


def _queued() -> float:
    """Seconds this thread has been ready to run but had no processor, where the kernel tells."""
    try:
        return int(_SCHEDULER.read_bytes().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
