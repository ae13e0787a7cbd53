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


def memory_of(pids: list[int], most: int) -> int:
    """Bytes of memory that processes and their shared segments have, without the first process. A page that
    several processes share counts for each of them.

    Shared memory may be in use though no process has touched it, or though it has let go of the pages. So
    where all mappings together could be more than `most`, those that are shared count with their whole size,
    each of them once.
    """
    private = resident = 0
    mapped: dict[int, int] = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            sizes = _sizes_of(pid)
            anonymous = sizes[b"RssAnon"] + sizes[b"VmSwap"]
            private += anonymous
            resident += anonymous + sizes[b"RssShmem"]
            mapped[pid] = max(0, sizes[b"VmSize"] - sum(sizes[name] for name in _NOT_SHARED))
    if resident + sum(mapped.values()) <= most:
        return resident
    return private + _shared_by(mapped)


_NOT_SHARED = (b"VmData", b"VmStk", b"VmExe", b"VmLib")
_SIZES = (b"RssAnon", b"RssShmem", b"VmSwap", b"VmSize", *_NOT_SHARED)


def _sizes_of(pid: int) -> dict[bytes, int]:
    """The fields of proc_pid_status(5) that are sizes, in bytes. A process that ends has none."""
    sizes: dict[bytes, int] = dict.fromkeys(_SIZES, 0)
    if pid != 1:
        with open(f"/proc/{pid}/status", "rb") as file:
            for line in file:
                name, _, value = line.partition(b":")
                if name in sizes:
                    sizes[name] = int(value.split()[0]) << 10
    return sizes


def _shared_by(mapped: dict[int, int]) -> int:
    """Bytes of the shared memory that processes have mapped (proc_pid_maps(5)).

    Args:
        mapped: the most that it can be, by process, for those that can't be looked into.
    """
    shared: dict[bytes, int] = {}
    unknown = 0
    for pid, most in mapped.items():
        try:
            with open(f"/proc/{pid}/maps", "rb") as file:
                for line in file:
                    if b" /dev/zero" in line:
                        place, mode, offset, _, inode, _ = line.split(None, 5)
                        start, _, end = place.partition(b"-")
                        size = int(offset, 16) + int(end, 16) - int(start, 16)
                        shared[inode] = max(shared.get(inode, 0), size if mode.endswith(b"s") else 0)
        except PermissionError:
            unknown += most
        except OSError:
            continue
    return unknown + sum(shared.values())


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
