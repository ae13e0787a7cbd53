"""Worker processes on this machine. Each takes whole groups: all repeats of a task."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby

import msgspec

from nemo_gym.runs.output import show_output
from nemo_gym.runs.result import Result
from nemo_gym.runs.worker import LAST_S, Orders, Report, message, read_message
from nemo_gym.wire.errors import GymError, UsageError, WorkerDied
from nemo_gym.wire.jsonl import decode
from nemo_gym.wire.rollout import Rollout
from nemo_gym.wire.row_identity import Stamp

Line = tuple[Stamp, bytes]
"""A plan line with its identity."""


@dataclass(slots=True, eq=False)
class _Worker:
    process: asyncio.subprocess.Process
    capacity: int
    lines: dict[tuple[int, int], bytes] = field(default_factory=dict[tuple[int, int], bytes])
    """Lines that it was sent and has not answered."""

    async def send(self, messages: bytes) -> None:
        """Write to its standard input.

        Raises:
            ConnectionError: it died.
        """
        stdin = self.process.stdin
        assert stdin is not None
        if stdin.is_closing():  # writing then raises an error that only uvloop has
            raise BrokenPipeError
        stdin.write(messages)
        await stdin.drain()


class WorkerPool:
    """Runs the lines of a plan in `count` processes.

    A worker that dies is replaced, and its lines are sent to a worker once more. A line with which two
    workers died becomes a `worker_died` failure. When more than `count + 3` died the run stops.
    """

    def __init__(self, count: int, orders: Orders) -> None:
        self._count = count
        self._orders = orders
        self._deaths = 0
        self._second_try: dict[tuple[int, int], bytes] = {}
        self._suspects: set[tuple[int, int]] = set()

    async def run(self, lines: Iterator[Line], sink: Callable[[Result], None]) -> None:
        """Run every line to its end.

        Raises:
            GymError: the workers keep dying.
            UsageError: a worker reports that the run can't go on.
        """
        groups = (list(group) for _, group in groupby(lines, key=lambda line: line[0].task_index))
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._count):
                tasks.create_task(self._keep_one(groups, sink))

    async def _keep_one(self, groups: Iterator[list[Line]], sink: Callable[[Result], None]) -> None:
        """Keep one worker running until there is no more work for it."""
        while True:
            async with show_output(sys.stderr) as (stderr,):
                worker = await self._start(stderr)
                try:
                    is_done = await self._serve(worker, groups, sink)
                finally:
                    await _end(worker.process)
            if is_done:
                return
            self._deaths += 1
            if self._deaths > self._count + 3:
                raise GymError(f"worker processes keep dying (exit status {worker.process.returncode})")
            self._give_back(worker, sink)

    async def _serve(
        self, worker: _Worker, groups: Iterator[list[Line]], sink: Callable[[Result], None]
    ) -> bool:
        """Send rows to a worker and take its reports; True when all work is done, False when it died."""
        assert worker.process.stdout is not None
        more = True
        try:
            await worker.send(message(msgspec.msgpack.encode(self._orders)))
            while True:
                while more and len(worker.lines) < worker.capacity:
                    more = await self._feed(worker, groups)
                if not worker.lines:
                    await worker.send(message(b""))
                    await worker.process.wait()
                    return True
                body = await read_message(worker.process.stdout)
                report = msgspec.msgpack.decode(body, type=Report)
                if report.result is None:
                    raise UsageError(report.problem)
                worker.capacity = report.limit
                worker.lines.pop((report.result.task, report.result.rollout), None)
                sink(report.result)
        except (asyncio.IncompleteReadError, ConnectionError):
            return False

    async def _feed(self, worker: _Worker, groups: Iterator[list[Line]]) -> bool:
        if self._second_try:
            lines = dict(self._second_try)
            self._second_try.clear()
        else:
            group = next(groups, None)
            if group is None:
                return False
            lines = {(stamp.task_index, stamp.rollout_index): line for stamp, line in group}
        worker.lines |= lines
        await worker.send(b"".join(message(line) for line in lines.values()))
        return True

    def _give_back(self, worker: _Worker, sink: Callable[[Result], None]) -> None:
        for key, line in worker.lines.items():
            if key in self._suspects:
                failure = WorkerDied("two worker processes died while running this rollout")
                sink(Result.of(Rollout.failed(decode(line), failure)))
            else:
                self._suspects.add(key)
                self._second_try[key] = line

    async def _start(self, stderr: int) -> _Worker:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "nemo_gym.runs.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            limit=1 << 26,
            start_new_session=True,
        )
        return _Worker(process, self._orders.first_in_flight)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a worker that may still run. It has time to close its sessions."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(LAST_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
