"""Runs SQL that a model wrote: read-only, limited, and in processes that can be killed."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import threading
import time
import weakref
from typing import Final

import msgspec

from nemo_gym.environments.sql_worker import Database, Job, Limits, Outcome, Rule
from nemo_gym.wire.errors import EnvironmentFault, TaskUnfit

__all__ = ["Database", "Limits", "Outcome", "Rule", "SqlRunner"]

_GRACE_S: Final = 1.0
"""Seconds that a worker has beyond the limits of its queries."""
_START_S: Final = 30.0
_MAX_LINE: Final = 1 << 20
"""The most bytes of an outcome."""


class SqlRunner:
    """Runs queries in worker processes and keeps the idle ones for the next query.

    Its methods block; call them from a `@blocking` hook or tool.

    Args:
        limits: of each query.
        workers: the most processes; by default one for each core.
    """

    def __init__(self, limits: Limits | None = None, workers: int | None = None) -> None:
        self.limits = limits or Limits()
        self._places = threading.BoundedSemaphore(workers or os.cpu_count() or 1)
        self._idle: list[subprocess.Popen[bytes]] = []
        self._end = weakref.finalize(self, _end_all, self._idle)

    def query(self, database: Database, sql: str, *, rows: int = 20) -> Outcome:
        """Run a query and return the first rows of its result, or its error."""
        return self._run(Job(database=database, sql=sql, limits=self.limits, preview_rows=rows))

    def compare(
        self,
        database: Database,
        sql: str,
        rule: Rule,
        *,
        gold_sql: list[str] | None = None,
        gold_results: list[list[list[object]]] | None = None,
    ) -> Outcome:
        """Run a query and compare its result with that of one of the right queries, or a right result.

        Raises:
            TaskUnfit: a right query fails, or there is nothing to compare with.
        """
        job = Job(database=database, sql=sql, limits=self.limits, rule=rule)
        job.gold_sql, job.gold_results = gold_sql or [], gold_results or []
        outcome = self._run(job)
        if outcome.gold_error:
            raise TaskUnfit(f"the right result of the task can't be compared with: {outcome.gold_error}")
        return outcome

    def close(self) -> None:
        """End the idle workers. The runner can be used again."""
        _end_all(self._idle)

    def _run(self, job: Job) -> Outcome:
        job.sql = job.sql.encode("utf-8", "replace").decode()
        with self._places:
            worker = self._worker()
            line = _exchange(worker, msgspec.json.encode(job) + b"\n", self._seconds(job))
            if line:
                self._idle.append(worker)
                return msgspec.json.decode(line, type=Outcome)
            timed_out = worker.poll() is None
            _end(worker)
        if timed_out:
            return Outcome(error="the query did not end within its time limit", reason="timeout")
        return Outcome(error="the query ended its process, probably for want of memory", reason="limit")

    def _seconds(self, job: Job) -> float:
        return self.limits.seconds * (1 + len(job.gold_sql)) + _GRACE_S

    def _worker(self) -> subprocess.Popen[bytes]:
        with contextlib.suppress(IndexError):
            while (worker := self._idle.pop()).poll() is not None:
                _end(worker)
            return worker
        module = "nemo_gym.environments.sql_worker"
        memory = str(self.limits.memory_mib)
        worker = subprocess.Popen(
            [sys.executable, "-P", "-c", f"from {module} import main; main()", memory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        ready = Job(database=Database(script="SELECT 1;"), sql="SELECT 1", limits=self.limits)
        if not _exchange(worker, msgspec.json.encode(ready) + b"\n", _START_S):
            _end(worker)
            raise EnvironmentFault("the process that runs SQL queries can't be started")
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
