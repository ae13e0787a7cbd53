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
        self._disk: int = plan["disk"] or sys.maxsize
        self._largest: int | None = self._disk
        self._next_size = 0.0
        self._next = 0.0

    def start(self) -> None:
        """A program starts."""
        self._next = monotonic() + _PAUSE_S

    def pause(self, *, running: bool) -> float | None:
        """Seconds until the next measurement; None where there is nothing to measure."""
        if self._alone and self.memory and (running or children()):
            return max(0.0, self._next - monotonic())
        return None

    def excess(self) -> str:
        """`memory` or `files` if the processes or files are more than the limits."""
        self._next = monotonic() + _PAUSE_S
        used, files = memory_of(processes() if self._jailed else descendants()), 0
        for path in self._mounts:
            state = os.statvfs(path)
            used += (state.f_blocks - state.f_bfree) * state.f_frsize
            files += state.f_files - state.f_ffree
        full = False
        if self._folders and monotonic() > self._next_size:
            start = process_time()  # on a loaded machine the time by the clock is mostly that of others
            size, files = size_of(self._folders)
            full = self._is_full(size)
            self._next_size = monotonic() + (process_time() - start) / _DISK_LOAD
        if used > (self.memory or used):
            return "memory"
        return "files" if files > MOST_FILES or full else ""

    def excess_at_end(self) -> str:
        """The same when a program has ended, which may have written all of it since the last time."""
        if not self._folders:
            return ""
        self._next_size = 0.0
        return self.excess()

    def _is_full(self, size: int) -> bool:
        """Whether the files have grown beyond their limit. Those that were too large for an earlier command
        stay, so that the next one can delete them."""
        if self._largest is None:
            self._largest = max(size, self._disk)
        full = size > self._largest
        if full:
            self._largest = None
        elif size <= self._disk:
            self._largest = self._disk
        return full
