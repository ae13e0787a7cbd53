"""The processes of a sandbox: which they are, their memory, and their end."""

from __future__ import annotations

import contextlib
import glob
import os
import signal


def children() -> list[int]:
    """The children of this process. It is a subreaper: children of a killed child become its own."""
    with open("/proc/thread-self/children") as file:
        return [int(word) for word in file.read().split()]


def descendants() -> list[int]:
    """The processes that this process started, directly or not. It is a subreaper, so that none can leave."""
    pids = children()
    for pid in pids:  # it grows meanwhile
        for path in glob.glob(f"/proc/{pid}/task/*/children"):
            with contextlib.suppress(OSError), open(path) as file:
                pids += [int(word) for word in file.read().split()]
    return pids


def processes() -> list[int]:
    """The processes that /proc shows."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def processes_of_user() -> int:
    """The number of processes and threads that have the user of this process (RLIMIT_NPROC counts them)."""
    total, user = 0, str(os.getuid()).encode()
    for pid in processes():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/status", "rb") as file:
            fields = dict(line.split(b":", 1) for line in file)
            if fields[b"Uid"].split()[0] == user:
                total += int(fields[b"Threads"])
    return total


def memory_of(pids: list[int]) -> int:
    """Bytes of memory that processes and their shared segments have, without the first process. A page that
    several processes share counts for each of them."""
    total = 0
    for pid in pids:
        if pid != 1:
            with contextlib.suppress(OSError), open(f"/proc/{pid}/status", "rb") as file:
                for line in file:
                    if line.startswith((b"RssAnon:", b"RssShmem:", b"VmSwap:")):
                        total += int(line.split()[1]) << 10
    return total


def belongs(pid: int, session: int | None, mark: bytes) -> bool:
    """Whether a process is in a session, or has a mark in its environment."""
    if pid == os.getpid():
        return False
    try:
        if os.getsid(pid) == session:
            return True
        with open(f"/proc/{pid}/environ", "rb") as file:
            return mark in file.read(1 << 20).split(b"\0")
    except OSError:
        return False


def kill_each(pids: set[int] | list[int]) -> None:
    """Kill processes, unless they have ended or can't be signalled."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def kill_everybody() -> None:
    """Kill all other processes that this one may signal. Call it only where they are those of the sandbox."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)


def kill_descendants() -> None:
    """Kill and reap everything that this process started, directly or not."""
    while pids := children():
        kill_each(pids)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, 0)
