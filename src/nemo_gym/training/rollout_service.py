"""The rollout service: tasks in, finished groups out, whatever dies in between.

A client names its batch. The order is on disk before it is accepted, and each group before it is sent. So
after a kill the same command goes on where it was, and a client that connects again reads from the group that
it has not seen. A reader that is slow stops the collection: only so many groups are ahead of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, Final

from nemo_gym.support.finishing import finish
from nemo_gym.training.batch_files import BatchFiles, FinishedGroup, Order, VersionFile, batches_in
from nemo_gym.training.collected import CollectedRollout
from nemo_gym.training.rollouts import Rollouts
from nemo_gym.wire import keys
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.jsonl import decode, encode
from nemo_gym.wire.token_packing import expand_row, pack_row

log: Final = logging.getLogger(__name__)


class Conflict(UsageError):
    """Another order has this id."""


class NoSuchBatch(UsageError):
    """The service has no batch of this id."""


class RolloutService:
    """Collects the batches of its clients.

    Args:
        rollouts: collects; opened by the caller.
        folder: where batches are kept until their clients delete them.
        ahead: groups of a batch that may be finished before a client reads them.
        ping_s: seconds after which a waiting reader gets an empty line.
    """

    def __init__(self, rollouts: Rollouts, folder: Path, *, ahead: int = 256, ping_s: float = 10.0) -> None:
        self._rollouts = rollouts
        self._folder = folder
        self._ahead = ahead
        self._ping_s = ping_s
        self._batches: dict[str, _Batch] = {}
        self._version = VersionFile(folder)
        self.version = 0
        """The policy version, which the trainer sets by `set_version`."""

    async def start(self) -> None:
        """Go on with the batches in the folder.

        Raises:
            UsageError: the folder can't be written, or another service writes to it.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{self._folder} can't be written: {error.strerror}") from None
        if (version := self._version.read()) is not None:
            self._note_version(version)
        for id in batches_in(self._folder):
            files = BatchFiles(self._folder, id)
            self._begin(files.order(), files, files.open())

    def set_version(self, version: int) -> None:
        """Note the policy version from now on, also for the time after a restart."""
        self._version.write(version)
        self._note_version(version)

    def tasks(self, split: str, n: int) -> list[dict[str, Any]]:
        """Tasks of the environment itself.

        Raises:
            UsageError: it has no such split.
        """
        return self._rollouts.own_tasks(split, n)

    def submit(self, order: Order) -> int:
        """Accept an order, whose batch begins at once; the number of its groups. The same order again is the
        same batch.

        Raises:
            Conflict: another order has its id.
            UsageError: its id or a number is wrong, or a task doesn't fit.
        """
        files = BatchFiles(self._folder, order.id)
        if not 1 <= order.repeats <= 10_000 or not order.tasks:
            raise UsageError("an order needs at least one task, and repeats from 1 to 10,000")
        if (batch := self._batches.get(order.id)) is not None:
            if batch.order != order:
                raise Conflict(f"batch {order.id}: its id belongs to another order")
            if batch.error:
                batch.files.close()
                self._begin(order, files, files.open())
            return len(order.tasks)
        self._rollouts.check(order.tasks)
        files.create(order)
        self._begin(order, files, set())
        return len(order.tasks)

    async def read(self, id: str, after: int) -> AsyncGenerator[bytes]:
        """The groups of a batch as JSON lines in the order in which they were finished, from `after` + 1 on,
        then a line that ends the batch. An empty line says that the service is alive.

        Raises:
            NoSuchBatch: there is none.
        """
        batch = self._batch(id)
        batch.note_reader(after)
        while True:
            while after < batch.files.count:
                after += 1
                yield _full(await asyncio.to_thread(batch.files.line, after), after)
                batch.note_reader(after)
            if batch.is_over:
                cancelled = batch.files.is_cancelled
                end = {"end": True, "groups": batch.files.count, "cancelled": cancelled, "error": batch.error}
                yield encode(end) + b"\n"
                return
            if not await batch.changed(self._ping_s):
                yield b"\n"

    async def cancel(self, id: str) -> None:
        """Stop a batch; the groups that are finished stay.

        Raises:
            NoSuchBatch: there is none.
        """
        batch = self._batch(id)
        batch.files.cancel()
        await batch.stop()

    async def delete(self, id: str) -> None:
        """Stop a batch and delete its files. Nothing happens if there is none."""
        if (batch := self._batches.pop(id, None)) is not None:
            await batch.stop()
            batch.files.delete()

    def state(self) -> dict[str, Any]:
        """The version, and how far each batch is."""
        return {
            "status": "ok",
            "weight_version": self.version,
            "batches": {
                id: {
                    "groups": len(batch.order.tasks),
                    "finished": batch.files.count,
                    "is_over": batch.is_over,
                    "cancelled": batch.files.is_cancelled,
                    "error": batch.error,
                }
                for id, batch in self._batches.items()
            },
        }

    async def aclose(self) -> None:
        """Stop every batch; the next start goes on with them."""
        await asyncio.gather(*(batch.stop() for batch in self._batches.values()))
        for batch in self._batches.values():
            batch.files.close()

    def _note_version(self, version: int) -> None:
        self.version = version
        if self._rollouts.policy is None:
            self._rollouts.set_version(version)

    def _batch(self, id: str) -> _Batch:
        batch = self._batches.get(id)
        if batch is None:
            raise NoSuchBatch(f"there is no batch {id[:120]!r}")
        return batch

    def _begin(self, order: Order, files: BatchFiles, finished: set[int]) -> None:
        batch = _Batch(order, files, finished)
        self._batches[order.id] = batch
        if files.is_cancelled:
            batch.end()
        else:
            batch.work = asyncio.create_task(self._collect(batch))

    async def _collect(self, batch: _Batch) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for number, task in enumerate(batch.order.tasks):
                    if number in batch.finished:
                        continue
                    await batch.room(self._ahead)
                    batch.running += 1
                    group.create_task(self._collect_group(batch, number, task))
        except* Exception as errors:
            batch.error = str(errors.exceptions[0])
            log.exception("batch %s ends", batch.order.id)
        finally:
            batch.end()

    async def _collect_group(self, batch: _Batch, number: int, task: dict[str, Any]) -> None:
        before = self.version
        rollouts = await self._rollouts.collect([task], repeats=batch.order.repeats)
        group = FinishedGroup(f"{batch.order.id}-{number}", number, [])
        group.rollouts = [_row(one, group, [before, self.version]) for one in rollouts]
        await finish(batch.keep(group))


class _Batch:
    """A batch in this process."""

    def __init__(self, order: Order, files: BatchFiles, finished: set[int]) -> None:
        self.order = order
        self.files = files
        self.finished = finished
        self.running = 0
        self.is_over = False
        self.error = ""
        self.work: asyncio.Task[None] | None = None
        self._read = 0
        self._write = asyncio.Lock()
        self._change = asyncio.Event()

    async def keep(self, group: FinishedGroup) -> None:
        """Make a group durable, then let it be read."""
        async with self._write:
            await asyncio.to_thread(self.files.append, group)
        self.finished.add(group.group)
        self.running -= 1
        self._wake()

    def note_reader(self, after: int) -> None:
        """A reader has taken the groups up to this one."""
        if (after := min(after, self.files.count)) > self._read:
            self._read = after
            self._wake()

    def end(self) -> None:
        self.is_over = True
        self._wake()

    async def changed(self, seconds: float) -> bool:
        """Whether something happens within so many seconds."""
        change = self._change
        try:
            await asyncio.wait_for(change.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def room(self, ahead: int) -> None:
        """Wait until fewer than `ahead` groups are running, or finished and not read."""
        while self.running + self.files.count - self._read >= ahead:
            await self._change.wait()

    async def stop(self) -> None:
        if self.work is not None:
            self.work.cancel()
            await asyncio.gather(self.work, return_exceptions=True)
        self.end()

    def _wake(self) -> None:
        self._change.set()
        self._change = asyncio.Event()


def _row(rollout: CollectedRollout, group: FinishedGroup, versions: list[int]) -> dict[str, Any]:
    identity = {keys.TASK_INDEX: group.group, keys.ROLLOUT_ID: f"{group.id}-{rollout.rollout_index}"}
    return pack_row({**rollout.to_row(), **identity, keys.WEIGHT_VERSIONS: versions})


def _full(line: bytes, seq: int) -> bytes:
    group = decode(line)
    return encode({"seq": seq, **group, "rollouts": [expand_row(row) for row in group["rollouts"]]}) + b"\n"
