"""Finds the process that listens at a port of this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from nemo_gym.serving.gym_control import servers_of
from nemo_gym.serving.running_gyms import RunningGym, running_gyms
from nemo_gym.wire.errors import GymError


def who_frees(port: int, folder: Path) -> str:
    """How a port that is in use can be freed, and by whom.

    Args:
        folder: the folder of the running gyms.
    """
    states = running_gyms(folder)
    pid = listener(port)
    for state in states:
        if port == state.head_port or _serves(state, port):
            return f"`gym env stop --port {state.head_port}` stops the servers of process {state.pid}, yours"
    if pid is None:
        return "a process of another user listens there, which only they or an administrator can stop"
    return f"process {pid} ({_command(pid)}) listens there, `kill {pid}` ends it"


def listener(port: int) -> int | None:
    """A process of this user that listens at a TCP port; None without one."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    for folder in Path("/proc").glob("[0-9]*") if sockets else ():
        try:
            if any(os.readlink(fd) in sockets for fd in (folder / "fd").iterdir()):
                return int(folder.name)
        except OSError:
            continue
    return None


_LISTENING: Final = "0A"
"""State of a listening socket in the kernel's tables."""


def _inodes(port: int) -> set[str]:
    inodes: set[str] = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes


def _serves(state: RunningGym, port: int) -> bool:
    try:
        return any(row.get("port") == port for row in servers_of(state))
    except GymError:
        return False


def _command(pid: int) -> str:
    """The name of the program, without characters that a terminal interprets."""
    try:
        name = Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    except OSError:
        return "unknown"
    return "".join(char if char.isprintable() else "?" for char in name)
