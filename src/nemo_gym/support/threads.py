"""Threads for work that blocks. They never keep a program from ending."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from threading import Condition, Thread, current_thread
from typing import Any, Final, TypeAlias, TypeVar

T = TypeVar("T")
Work: TypeAlias = tuple[Future[Any], Callable[[], Any]]

IDLE_S: Final = 10.0
"""Seconds without work after which a thread ends."""


class WorkerThreads(Executor):
    """Daemon threads, started when there is work for them.

    Args:
        most: the limit at the same time. A thread whose result nobody wants any more does not count.
        name: the beginning of the threads' names.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._changed = Condition()
        self._work: deque[Work] = deque()
        self._threads: dict[Thread, Future[None]] = {}
        """Each thread, with a future that ends with the thread."""
        self._idle = 0
        self._unwanted: set[Future[Any]] = set()
        self._closed = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Have `fn(*args, **kwargs)` called in a thread.

        Raises:
            RuntimeError: the threads were shut down.
        """
        future: Future[T] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError(f"the threads of {self._name} are shut down")
            self._work.append((future, partial(fn, *args, **kwargs)))
            self._changed.notify()
            self._staff()
        return future

    def give_up(self, future: Future[Any]) -> None:
        """Drop the result of some work. If it runs already, another thread may take its thread's place."""
        with self._changed:
            if not future.cancel() and future.running():
                self._unwanted.add(future)
                self._staff()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End every thread after its work. `wait` blocks until then."""
        with self._changed:
            self._closed = True
            waiting = list(self._work) if cancel_futures else []
            threads = list(self._threads)
            self._changed.notify_all()
        for future, _ in waiting:
            future.cancel()
        if wait:
            for thread in threads:
                thread.join()

    async def aclose(self, seconds: float) -> int:
        """End every thread after its work. Returns the number of threads that still run after `seconds`."""
        with self._changed:
            threads = dict(self._threads)
        self.shutdown(wait=False)
        ends = [asyncio.wrap_future(end) for end in threads.values()]
        if ends:
            await asyncio.wait(ends, timeout=seconds)
        for end in ends:
            end.cancel()
        dead = [thread for thread, end in threads.items() if end.done()]
        for thread in dead:
            thread.join()
        return len(threads) - len(dead)

    def _staff(self) -> None:
        """Start a thread if there is more work than free threads."""
        counted = len(self._threads) - len(self._unwanted)
        if len(self._work) > self._idle and counted < self._most:
            thread = Thread(target=self._serve, name=f"{self._name}_{len(self._threads)}", daemon=True)
            self._threads[thread] = end = Future[None]()
            end.set_running_or_notify_cancel()  # from now on nobody can cancel it
            self._idle += 1
            thread.start()

    def _serve(self) -> None:
        last = None
        while (work := self._next(last)) is not None:
            last, call = work
            _do(last, call)
            del work, call  # a thread that waits keeps nothing alive

    def _next(self, last: Future[Any] | None) -> Work | None:
        """The next work; None ends the thread.

        Args:
            last: the work that the thread has finished.
        """
        with self._changed:
            self._idle += last is not None
            if last in self._unwanted:
                self._unwanted.remove(last)
            else:
                self._changed.wait_for(lambda: self._work or self._closed, IDLE_S)
                if self._work:
                    self._idle -= 1
                    return self._work.popleft()
            self._idle -= 1
            self._threads.pop(current_thread()).set_result(None)
            return None


def _do(future: Future[Any], call: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
