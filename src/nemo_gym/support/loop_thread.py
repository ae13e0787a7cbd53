"""An event loop in a thread, for code that is not async."""

from __future__ import annotations

import asyncio
import atexit
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from contextlib import suppress
from threading import RLock, Thread, current_thread
from typing import Any, Final, TypeVar

T = TypeVar("T")

EXIT_S: Final = 5.0
"""Seconds that cancelled work may take to end when the program ends."""


class LoopThread:
    """An event loop in a thread of its own, which starts with the first work. Any thread may give it work.

    It runs until `close`, or until the program ends: then what still runs is cancelled too, and waited for a
    short time. A forked child has none of its parent's threads: its first work starts a loop of its own.
    Work that calls `sys.exit` ends itself only; whoever waits for it gets the `SystemExit`.

    Args:
        name: of the thread, and in errors.
        new_loop: makes the event loop.
    """

    def __init__(
        self, name: str, new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    ) -> None:
        self._name = name
        self._new_loop = new_loop
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._process = os.getpid()
        self._closed = False

    @property
    def is_inherited(self) -> bool:
        """Whether the loop, and all that belongs to it, runs in the process that this one was forked from."""
        return self._thread is not None and self._process != os.getpid()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start work. Its future has the result, and its `cancel` cancels the work.

        Raises:
            RuntimeError: the loop is closed.
        """
        with _lock:
            try:
                loop = self._running_loop()
            except BaseException:
                work.close()
                raise
            return asyncio.run_coroutine_threadsafe(work, loop)

    def run(self, work: Coroutine[Any, Any, T], *, within: float | None = None) -> T:
        """The result of work. An exception in the waiting thread, such as a `KeyboardInterrupt`, cancels it.

        Args:
            within: seconds after which the work is cancelled.

        Raises:
            RuntimeError: the loop is closed, or this is its own thread, which can't wait for itself.
            TimeoutError: the work took too long.
            concurrent.futures.CancelledError: another thread has closed the loop.
        """
        if current_thread() is self._thread and not self.is_inherited:
            work.close()
            raise RuntimeError(f"{self._name}: its event loop can't wait for itself: await the work there")
        future = self.submit(work)
        try:
            if not wait([future], within).done:
                raise TimeoutError(f"{self._name}: it took more than {within:g} seconds")
            return future.result()
        except BaseException:
            future.cancel()  # if it still runs
            raise

    def close(self) -> None:
        """Cancel what still runs, wait until it has ended, and end the thread. May be called twice.

        Raises:
            RuntimeError: this is the loop's own thread.
        """
        self._end(None)

    def _end(self, seconds: float | None) -> None:
        with _lock:
            is_closed, thread, loop = self._closed, self._thread, self._loop
            if thread is None or loop is None or self.is_inherited:
                self._closed = True
                return
            if thread is current_thread():
                raise RuntimeError(f"{self._name}: its event loop can't close itself")
            self._closed = True
            if not is_closed:
                loop.call_soon_threadsafe(loop.stop)
        thread.join(seconds)
        atexit.unregister(self._end)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._closed:
            raise RuntimeError(f"{self._name}: its event loop is closed")
        if self._loop is None or self.is_inherited:
            runner = asyncio.Runner(loop_factory=self._new_loop)
            loop = runner.get_loop()
            thread = Thread(target=self._serve, args=(runner, loop), name=self._name, daemon=True)
            thread.start()
            self._process, self._thread, self._loop = os.getpid(), thread, loop
            atexit.register(self._end, EXIT_S)
        return self._loop

    def _serve(self, runner: asyncio.Runner, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            try:
                loop.run_forever()
                if self._closed:
                    break
            except (SystemExit, KeyboardInterrupt):  # of some work, whose future has it
                if self.is_inherited:
                    raise  # in a child that the work has forked
        # Python 3.12 starts no thread at the end of a program, and the loop wants one to end its executor.
        with suppress(RuntimeError), runner:
            loop.run_until_complete(_cancel_others())


async def _cancel_others() -> None:
    """Cancel every other task, but none twice, which would cut its clean-up short."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        if not task.cancelling():
            task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


_lock: Final = RLock()
"""Guards the start and the end of every loop. A fork waits for it, so that it is free in the child."""
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
