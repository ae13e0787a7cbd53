"""Worker processes on this machine. Each takes whole groups: all repeats of a task."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby

import msgspec

from nemo_gym.runs.output import shown_output
from nemo_gym.runs.result import Result
from nemo_gym.runs.worker import LAST_S, Orders, Report, message, read_message
from nemo_gym.wire.errors import GymError, WorkerDied
from nemo_gym.wire.jsonl import decode
from nemo_gym.wire.rollout import Rollout
from nemo_gym.wire.row_identity import Stamp

Line = tuple[Stamp, bytes]
"""A plan line with its identity."""


@dataclass(slots=True, eq=False)
class _Worker:
    process: asyncio.subprocess.Process
    capacity: int
    held: dict[tuple[int, int], bytes] = field(default_factory=dict[tuple[int, int], bytes])
    """Lines sent and not yet answered."""

    async def tell(self, words: bytes) -> None:
        """Write to its standard input.

        Raises:
            ConnectionError: it has closed its end: it died.
        """
        stdin = self.process.stdin
        assert stdin is not None
        if stdin.is_closing():  # where writing is an error of uvloop's own kind
            raise BrokenPipeError
        stdin.write(words)
        await stdin.drain()


class WorkerPool:
    """Runs the lines of a plan in `count` processes.

    A worker that dies is replaced and what it held is given out once more; a line that has seen two
    workers die becomes a `worker_died` failure. When more than `count + 3` have died the run stops.
    """

    def __init__(self, count: int, orders: Orders) -> None:
        self._count = count
        self._orders = orders
        self._deaths = 0
        self._second_try: dict[tuple[int, int], bytes] = {}
        self._poisoned: set[tuple[int, int]] = set()

    async def run(self, lines: Iterator[Line], sink: Callable[[Result], None]) -> None:
        """Run every line to its end.

        Raises:
            GymError: the workers keep dying.
        """
        groups = (list(group) for _, group in groupby(lines, key=lambda line: line[0].task_index))
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._count):
                tasks.create_task(self._staff(groups, sink))

    async def _staff(self, groups: Iterator[list[Line]], sink: Callable[[Result], None]) -> None:
        """Keep one place filled until there is no more work for it."""
        while True:
            async with shown_output(sys.stderr) as (printed,):
                worker = await self._start(printed)
                try:
                    finished = await self._serve(worker, groups, sink)
                finally:
                    await _end(worker.process)
            if finished:
                return
            self._deaths += 1
            if self._deaths > self._count + 3:
                raise GymError(f"worker processes keep dying (exit status {worker.process.returncode})")
            self._give_back(worker, sink)

    async def _serve(
        self, worker: _Worker, groups: Iterator[list[Line]], sink: Callable[[Result], None]
    ) -> bool:
        """Feed a worker and take its reports; True when all work is done, False when it died."""
        assert worker.process.stdout is not None
        more = True
        try:
            await worker.tell(message(msgspec.msgpack.encode(self._orders)))
            while True:
                while more and len(worker.held) < worker.capacity:
                    more = await self._feed(worker, groups)
                if not worker.held:
                    await worker.tell(message(b""))
                    await worker.process.wait()
                    return True
                body = await read_message(worker.process.stdout)
                report = msgspec.msgpack.decode(body, type=Report)
                worker.capacity = report.limit
                worker.held.pop((report.result.task, report.result.rollout), None)
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
        worker.held |= lines
        await worker.tell(b"".join(message(line) for line in lines.values()))
        return True

    def _give_back(self, worker: _Worker, sink: Callable[[Result], None]) -> None:
        for key, line in worker.held.items():
            if key in self._poisoned:
                failure = WorkerDied("two worker processes died while running this rollout")
                sink(Result.of(Rollout.failed(decode(line), failure)))
            else:
                self._poisoned.add(key)
                self._second_try[key] = line

    async def _start(self, printed: int) -> _Worker:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "nemo_gym.runs.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=printed,
            limit=1 << 26,
            start_new_session=True,
        )
        return _Worker(process, self._orders.concurrency or min(16, self._orders.most))


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a worker that may still run; it closes what it holds, if it can."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(LAST_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
