"""The journal: append-only JSONL files that survive being killed at any instant."""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from time import sleep
from typing import Final, NamedTuple, Protocol

from nemo_gym.wire.errors import GymError, UsageError


class JournalError(GymError):
    """A row could not be made durable: the disk is full or failing. What was committed before is safe."""


class AppendFile:
    """A file of whole lines. Opening it takes a lock and cuts off a torn last line.

    Raises:
        UsageError: another process is writing to it, or it can't be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            self._fd = os.open(path, flags, 0o644)
        except OSError as error:
            raise UsageError(f"{path} can't be written: {error.strerror}") from None
        try:
            if not stat.S_ISREG(os.fstat(self._fd).st_mode):
                raise UsageError(f"{path} can't be written: it is not a regular file")
            if not _locked(self._fd):
                raise UsageError(f"{path} is being written by another run")
        except BaseException:
            os.close(self._fd)
            raise
        self.torn_bytes = self._cut_torn_tail()
        """How many bytes of an unfinished last line were cut off."""
        self._size = os.fstat(self._fd).st_size

    def write(self, lines: bytes) -> None:
        """Append whole lines and make them durable.

        Raises:
            JournalError: not all of them could be written; the file keeps the whole lines that fit.
        """
        view = memoryview(lines)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
            os.fdatasync(self._fd)
        except OSError as error:
            start = lines[: len(lines) - len(view)] if view else b""
            self._keep(start.rfind(b"\n") + 1)
            raise JournalError(f"{self.path} can't be written: {error.strerror}") from error
        self._size += len(lines)

    def _keep(self, more: int) -> None:
        """Keep so many bytes of the last write; none where they can't be made durable."""
        for extra in (more, 0):
            with suppress(OSError):
                os.ftruncate(self._fd, self._size + extra)
                os.fdatasync(self._fd)
                self._size += extra
                return

    def close(self) -> None:
        """Close the file and release its lock."""
        os.close(self._fd)

    def _cut_torn_tail(self) -> int:
        size = end = os.fstat(self._fd).st_size
        while end > 0:
            start = max(0, end - 65536)
            newline = os.pread(self._fd, end - start, start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end != size:
            os.ftruncate(self._fd, end)
        return size - end


def is_locked(path: Path) -> bool:
    """Whether a run is writing to a file now."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _locked(descriptor: int) -> bool:
    """Take the lock of a writer. `is_locked` holds it for an instant, so a refusal is tried again."""
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            sleep(_PAUSE_S)
        else:
            return True
    return False


_TRIES: Final = 3
_PAUSE_S: Final = 0.01


class Commit(NamedTuple):
    """Rows that became durable together, as they are in the files: JSON lines with their newlines."""

    rollouts: Sequence[bytes]
    failures: Sequence[bytes]


class Listener(Protocol):
    """Receives the rows of a run as they are written: an export, a viewer, a trainer."""

    async def on_commit(self, commit: Commit) -> None:
        """Called with rows that are on the disk; the next commit waits until this returns.

        Rows from before this process began don't come here: `RunStore` reads them.
        """
        ...


class _Subscription(NamedTuple):
    listener: Listener
    on_failure: Callable[[Exception], None]
    patience: float | None


LISTENER_PATIENCE_S: Final = 60.0
"""Seconds that one call of a listener may take."""


class Journal:
    """Rollouts and failures of one run, committed in groups: one write and one sync for many rows.

    `append` only holds a row in memory; a background task makes the rows durable every `interval` seconds.
    Use as an async context manager.
    """

    def __init__(self, rollouts: Path, failures: Path, *, interval: float = 0.2) -> None:
        first = AppendFile(rollouts)
        try:
            self._files = (first, AppendFile(failures))
        except BaseException:
            first.close()
            raise
        self._pending: tuple[list[bytes], list[bytes]] = ([], [])
        self._interval = interval
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.error: JournalError | None = None
        """Why nothing more can be written; None while all is well."""
        self._subscriptions: list[_Subscription] = []

    @property
    def torn_bytes(self) -> int:
        """How many bytes of unfinished lines were cut off when the files were opened."""
        return sum(file.torn_bytes for file in self._files)

    def append(self, line: bytes, *, failed: bool) -> None:
        """Put one row (a JSON line with its newline) into the next commit.

        Raises:
            JournalError: an earlier commit failed.
        """
        if self.error is not None:
            raise self.error
        self._pending[failed].append(line)
        self._wake.set()

    def subscribe(
        self,
        listener: Listener,
        *,
        on_failure: Callable[[Exception], None],
        patience: float | None = LISTENER_PATIENCE_S,
    ) -> None:
        """Call a listener after each commit, in the order of subscription.

        A listener that raises is not called again; the rows stay as they are and the journal goes on.

        Args:
            on_failure: called once with the exception of the listener.
            patience: seconds that one call may take before it counts as failed; None sets no limit.
        """
        self._subscriptions.append(_Subscription(listener, on_failure, patience))

    def close(self) -> None:
        """Close both files and release their locks; only for a journal that is not in use."""
        self._thread.shutdown()
        for file in self._files:
            file.close()

    async def __aenter__(self) -> Journal:
        self._task = asyncio.create_task(self._commit_loop(), name="journal")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._closing.set()
        self._wake.set()
        try:
            await self._task
        finally:
            self.close()

    async def _commit_loop(self) -> None:
        loop = asyncio.get_running_loop()
        while not (self._closing.is_set() and not any(self._pending)):
            await self._wake.wait()
            self._wake.clear()
            commit = Commit(*self._pending)
            self._pending = ([], [])
            try:
                for file, rows in zip(self._files, commit, strict=True):
                    if rows:
                        await loop.run_in_executor(self._thread, file.write, b"".join(rows))
            except JournalError as error:
                self.error = error
                return
            if any(commit):
                await self._announce(commit)
            try:
                async with asyncio.timeout(self._interval):
                    await self._closing.wait()
            except TimeoutError:
                continue

    async def _announce(self, commit: Commit) -> None:
        for subscription in tuple(self._subscriptions):
            try:
                async with asyncio.timeout(subscription.patience):
                    await subscription.listener.on_commit(commit)
            except (Exception, asyncio.CancelledError) as error:  # the journal goes on all the same
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                self._subscriptions.remove(subscription)
                problem = error if isinstance(error, Exception) else RuntimeError("it was cancelled")
                subscription.on_failure(problem)
