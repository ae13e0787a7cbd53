"""Measures the memory and the files of a sandbox from time to time."""

from __future__ import annotations

import os
import sys
from time import monotonic, process_time

from nemo_gym.sandbox.providers.local.inside.files import MOST_FILES, size_of
from nemo_gym.sandbox.providers.local.inside.processes import children, descendants, memory_of, processes

TYPE_CHECKING = False  # The first program need not wait for `typing`.
if TYPE_CHECKING:
    from typing import Any

_PAUSE_S = 0.03
_DISK_LOAD = 0.05
"""The share of the time that may go into measuring the files of a sandbox."""


class Watch:
    """The limits for all processes of a sandbox together.

    Args:
        plan: the first message to the supervisor.
        alone: whether it can kill the processes of this sandbox only.
    """

    def __init__(self, plan: dict[str, Any], *, alone: bool) -> None:
        self.memory: int | None = plan["memory"]
        self._alone = alone
        self._jailed: bool = plan["jailed"]
        self._mounts: list[str] = plan["mounts"]
        self._folders: list[str] = plan["folders"]
        self._disk: int = plan["disk"]
        self._was_over = False
        self._left = (0, 0, 0)
        """What a killed command left: bytes in memory, bytes on the disk, and files. It stays, so that the
        next command can delete it."""
        self._next = self._next_size = 0.0

    def start(self) -> None:
        """A program starts."""
        if self._was_over:
            self._was_over = False
            in_memory, files = self._mounted()
            on_disk, more = self._on_disk()
            self._left = in_memory, on_disk, files + more
        self._next = monotonic() + _PAUSE_S

    def pause(self, *, running: bool) -> float | None:
        """Seconds until the next measurement; None where there is nothing to measure."""
        if self._alone and (running or children()):
            return max(0.0, self._next - monotonic())
        return None

    def excess(self, *, at_end: bool = False) -> str:
        """`memory` or `files` if the processes or files are more than the limits.

        Args:
            at_end: a program has ended, which may have written all of its files since the last time.
        """
        self._next = monotonic() + _PAUSE_S
        used, files = self._mounted()
        memory = sys.maxsize if self.memory is None else self.memory
        used += memory_of(processes() if self._jailed else descendants(), memory - used)
        on_disk = 0
        is_measured = at_end or monotonic() > self._next_size
        if is_measured:
            on_disk, more = self._on_disk()
            files += more
        left_in_memory, left_on_disk, left_files = self._left
        if used > memory + left_in_memory:
            excess = "memory"
        elif on_disk > max(self._disk, left_on_disk) or files > max(MOST_FILES, left_files):
            excess = "files"
        else:
            if is_measured and used <= memory and on_disk <= self._disk and files <= MOST_FILES:
                self._left = (0, 0, 0)
            return ""
        self._was_over = True
        return excess

    def _mounted(self) -> tuple[int, int]:
        """Bytes and number of the files in the sandbox's file systems in memory."""
        states = [os.statvfs(path) for path in self._mounts]
        return (
            sum((state.f_blocks - state.f_bfree) * state.f_frsize for state in states),
            sum(state.f_files - state.f_ffree for state in states),
        )

    def _on_disk(self) -> tuple[int, int]:
        """Bytes and number of the files in the sandbox's folders on a disk."""
        if not self._folders:
            return 0, 0
        start = process_time()  # on a loaded machine the time by the clock is mostly that of others
        size, files = size_of(self._folders)
        self._next_size = monotonic() + (process_time() - start) / _DISK_LOAD
        return size, files
