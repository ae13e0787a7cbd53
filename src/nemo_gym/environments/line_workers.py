"""Processes that answer lines and can be killed: for libraries that may hang, or take all memory."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from typing import Final

_START_S: Final = 30.0
_MAX_LINE: Final = 1 << 20
"""The most bytes of an answer."""


class NoAnswer(Exception):
    """A worker gave no answer, and is gone.

    Args:
        timed_out: whether it took too long; otherwise it ended, probably for want of memory.
    """

    def __init__(self, *, timed_out: bool) -> None:
        super().__init__("it did not end within its time limit" if timed_out else "it ended its process")
        self.timed_out = timed_out


class LineWorkers:
    """Worker processes of one kind. The idle ones wait for the next line.

    Its methods block; call them from a `@blocking` hook or tool.

    Args:
        module: its `main` answers the lines of its input, with the arguments in `sys.argv`.
        ready: a line that a new worker answers once it can work.
        workers: the most processes; by default one for each core.
    """

    def __init__(
        self, module: str, arguments: Sequence[str], ready: bytes, workers: int | None = None
    ) -> None:
        self._command = [sys.executable, "-P", "-c", f"from {module} import main; main()", *arguments]
        self._ready = ready
        self._places = threading.BoundedSemaphore(workers or os.cpu_count() or 1)
        self._idle: list[subprocess.Popen[bytes]] = []
        self._end = weakref.finalize(self, _end_all, self._idle)

    def ask(self, line: bytes, seconds: float) -> bytes:
        """The answer to a line. A worker that gives none within so many seconds is killed.

        Raises:
            NoAnswer: there is none.
            OSError: no worker can be started.
        """
        with self._places:
            worker = self._worker()
            answer = _exchange(worker, line, seconds)
            if answer:
                self._idle.append(worker)
                return answer
            timed_out = worker.poll() is None
            _end(worker)
        raise NoAnswer(timed_out=timed_out)

    def close(self) -> None:
        """End the idle workers. Others can be started afterwards."""
        _end_all(self._idle)

    def _worker(self) -> subprocess.Popen[bytes]:
        with contextlib.suppress(IndexError):
            while (worker := self._idle.pop()).poll() is not None:
                _end(worker)
            return worker
        worker = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if not _exchange(worker, self._ready, _START_S):
            _end(worker)
            raise OSError("the process did not begin to work")
        return worker


def _exchange(worker: subprocess.Popen[bytes], request: bytes, seconds: float) -> bytes:
    """The answer to a request; empty when the worker ends or is out of time."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    deadline = time.monotonic() + seconds
    answer = bytearray()
    try:
        worker.stdin.write(request)
        worker.stdin.flush()
    except OSError:
        worker.wait()
        return b""
    poll = select.poll()
    poll.register(worker.stdout, select.POLLIN | select.POLLHUP)
    while not answer.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return b""
        data = os.read(worker.stdout.fileno(), 1 << 16)
        if not data:
            worker.wait()
            return b""
        answer += data
        if len(answer) > _MAX_LINE:
            return b""
    return bytes(answer)


def _end_all(workers: list[subprocess.Popen[bytes]]) -> None:
    while workers:
        _end(workers.pop())


def _end(worker: subprocess.Popen[bytes]) -> None:
    worker.kill()
    worker.wait()
    for pipe in (worker.stdin, worker.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
