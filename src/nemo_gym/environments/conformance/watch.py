"""Watches the hooks of one environment object: how long they keep the event loop, and what they change."""

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
from nemo_gym.environments.tool import tool_methods


@dataclass(frozen=True, slots=True)
class Stall:
    """The longest time that a hook kept the event loop."""

    seconds: float
    """Wall-clock seconds, without the wait for a processor that other threads used."""
    cpu: float
    """The seconds in which this thread computed; in the others it slept or was blocked."""


class Watch:
    """Wraps the hooks and tools of an environment object, to measure each stretch between two awaits."""

    def __init__(self, environment: Environment) -> None:
        self.stalls: dict[str, Stall] = {}
        """The longest stall of each hook since the last `restart`."""
        self.closed: Counter[str] = Counter()
        """How often `close` was called, by session id."""
        self.changed_random: str | None = None
        """The first hook that changed the process-wide state of `random`."""
        for name in (*_HOOKS, *tool_methods(type(environment))):
            if function := getattr(environment, name, None):
                setattr(environment, name, self._wrap(name, function))

    def restart(self) -> None:
        """Forget the stalls so far."""
        self.stalls = {}

    def _wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if name == "close":
                self._count_close(*args, **kwargs)
            with self._stretch(name):
                result = function(*args, **kwargs)
            return _Stretches(result, lambda: self._stretch(name)) if inspect.isawaitable(result) else result

        return call

    def _count_close(self, session: Session) -> None:
        self.closed[session.id] += 1

    @contextmanager
    def _stretch(self, name: str) -> Generator[None, None, None]:
        state = random.getstate()
        delay, cpu, wall = _waiting_time(), thread_time(), perf_counter()
        try:
            yield
        finally:
            wall, cpu, delay = perf_counter() - wall, thread_time() - cpu, _waiting_time() - delay
            seconds = max(wall - delay, cpu)
            if name not in self.stalls or seconds > self.stalls[name].seconds:
                self.stalls[name] = Stall(seconds, cpu)
            if self.changed_random is None and random.getstate() != state:
                self.changed_random = name


_HOOKS = ("seed", "verify", "close", "oracle", "reset", "step")
_SCHEDULER = Path("/proc/thread-self/schedstat")


class _Stretches:
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
                    future = resume()
            except StopIteration as stop:
                return stop.value
            try:
                yield future
            except BaseException as error:
                resume = functools.partial(inner.throw, error)
            else:
                resume = functools.partial(next, inner)


def _waiting_time() -> float:
    """How many seconds this thread was ready to run but had no processor; 0 if the kernel does not say it."""
    try:
        return int(_SCHEDULER.read_bytes().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
