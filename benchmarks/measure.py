"""Run a command and account for every process it starts: CPU-seconds, memory and time. Linux only."""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_S = 0.2
GRACE_S = 10.0
LEFT_S = 1.0
"""After so many seconds, a process that outlives the command counts as left behind."""


@dataclass(frozen=True)
class Usage:
    """What a command and all its descendants used."""

    cpu_s: float
    """User and system seconds of all processes, exact for each that was waited for."""
    peak_rss_mib: float
    """Largest sum of resident memory over the processes alive at one sample (shared pages count twice)."""
    largest_rss_mib: float
    """Peak resident memory of the largest single process."""
    wall_s: float
    """From start to the exit of the command itself."""
    processes: int
    """Most processes alive at one sample."""
    exit_code: int | None
    """None when it was stopped at the time limit."""
    command_rss_mib: float
    """Peak resident memory of the command's own process, to the last sample."""
    left: tuple[str, ...]
    """The processes that outlive the command by more than a second."""


def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    log: Path,
    timeout_s: float,
    ignore: frozenset[int] = frozenset(),
) -> Usage:
    """Run `command`, its output going to `log`, and measure it with all that it leaves behind.

    This process becomes the reaper of orphans, so daemons are counted too, and ended after a grace
    period. `ignore` holds direct children of this process that belong to someone else.
    """
    _become_subreaper()
    tree = _Tree(ignore)
    started = time.monotonic()
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    exit_code: int | None = None
    command_rss_mib = 0.0
    handle = os.pidfd_open(child.pid)
    try:
        while not select.select([handle], [], [], SAMPLE_S)[0]:
            tree.sample()
            command_rss_mib = max(command_rss_mib, _peak_rss_mib(child.pid))
            if time.monotonic() - started > timeout_s:
                break
        else:
            exit_code = tree.reap(child.pid)
        wall_s = time.monotonic() - started
        left = tree.after(LEFT_S) if exit_code is not None else ()
        tree.drain(GRACE_S if exit_code is not None else 0.0)
    finally:
        os.close(handle)
        tree.kill()
        child.returncode = exit_code if exit_code is not None else -signal.SIGKILL
    return Usage(
        cpu_s=max(tree.reaped_cpu_s, sum(tree.sampled_cpu_s.values())),
        peak_rss_mib=tree.peak_rss_mib,
        largest_rss_mib=tree.largest_rss_mib,
        wall_s=wall_s,
        processes=tree.processes,
        exit_code=exit_code,
        command_rss_mib=command_rss_mib,
        left=left,
    )


class _Tree:
    """All descendants of this process but the ignored ones."""

    def __init__(self, ignore: frozenset[int]) -> None:
        self.ignore = ignore
        self.reaped_cpu_s = 0.0
        self.sampled_cpu_s: dict[int, float] = {}
        self.peak_rss_mib = 0.0
        self.largest_rss_mib = 0.0
        self.processes = 1

    def sample(self) -> None:
        alive = self._descendants()
        self.processes = max(self.processes, len(alive))
        self.peak_rss_mib = max(self.peak_rss_mib, sum(stat.rss_mib for stat in alive))
        for stat in alive:
            self.largest_rss_mib = max(self.largest_rss_mib, stat.rss_mib)
            self.sampled_cpu_s[stat.pid] = max(self.sampled_cpu_s.get(stat.pid, 0.0), stat.cpu_s)

    def reap(self, pid: int) -> int:
        """Wait for one direct child and count it; returns its exit code."""
        _, status, used = os.wait4(pid, 0)
        self.reaped_cpu_s += used.ru_utime + used.ru_stime
        self.largest_rss_mib = max(self.largest_rss_mib, used.ru_maxrss / 1024)
        self.peak_rss_mib = max(self.peak_rss_mib, used.ru_maxrss / 1024)
        return os.waitstatus_to_exitcode(status)

    def drain(self, grace_s: float) -> None:
        """Give orphans `grace_s` to end by themselves, then ask, then insist."""
        for wait_s, number in ((grace_s, signal.SIGTERM), (2.0, signal.SIGKILL), (5.0, signal.SIGKILL)):
            deadline = time.monotonic() + wait_s
            while self._reap_ended() and time.monotonic() < deadline:
                time.sleep(0.05)
            self._signal(number)

    def after(self, seconds: float) -> tuple[str, ...]:
        """The command lines of the processes that are still alive after so many seconds."""
        deadline = time.monotonic() + seconds
        while self._reap_ended() and time.monotonic() < deadline:
            time.sleep(0.02)
        return tuple(_command_line(stat.pid) for stat in self._descendants())

    def kill(self) -> None:
        """End whatever is left."""
        self._signal(signal.SIGKILL)
        deadline = time.monotonic() + 5.0
        while self._reap_ended() and time.monotonic() < deadline:
            time.sleep(0.02)

    def _reap_ended(self) -> bool:
        """Reap orphans that have ended; True while others live."""
        stats = self._descendants(zombies=True)
        for stat in stats:
            if stat.parent == os.getpid() and stat.state == "Z":
                self.reap(stat.pid)
        return bool(stats)

    def _signal(self, number: signal.Signals) -> None:
        for stat in self._descendants():
            try:
                os.kill(stat.pid, number)
            except ProcessLookupError:
                continue

    def _descendants(self, *, zombies: bool = False) -> list[_Stat]:
        children: dict[int, list[_Stat]] = {}
        for stat in _all_processes():
            children.setdefault(stat.parent, []).append(stat)
        found: list[_Stat] = []
        queue = [os.getpid()]
        while queue:
            for stat in children.get(queue.pop(), []):
                if stat.pid not in self.ignore:
                    queue.append(stat.pid)
                    if zombies or stat.state != "Z":
                        found.append(stat)
        return found


@dataclass(frozen=True)
class _Stat:
    pid: int
    state: str
    parent: int
    cpu_s: float
    rss_mib: float


_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_MIB = resource.getpagesize() / 1024**2
_PR_SET_CHILD_SUBREAPER = 36


def _all_processes() -> list[_Stat]:
    stats: list[_Stat] = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            text = Path("/proc", entry, "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        fields = text[text.rfind(")") + 2 :].split()
        cpu_s = (int(fields[11]) + int(fields[12])) / _TICKS
        stats.append(_Stat(int(entry), fields[0], int(fields[1]), cpu_s, int(fields[21]) * _PAGE_MIB))
    return stats


def _peak_rss_mib(pid: int) -> float:
    try:
        status = Path("/proc", str(pid), "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    peaks = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(next(peaks, "0")) / 1024


def _command_line(pid: int) -> str:
    try:
        return Path("/proc", str(pid), "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return "a process that has just ended"


def _become_subreaper() -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot become the reaper of orphaned processes")
