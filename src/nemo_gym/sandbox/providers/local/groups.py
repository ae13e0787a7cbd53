"""Control groups of the kernel (cgroups(7), version 2): limits for all processes of a sandbox together.

They are used where this process can create groups. A group has as many of the limits as the kernel passes on
to it: memory, number of processes, or only the measurement of CPU time.
"""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

_PREFIX: Final = "gym-sandbox-"
_NAME: Final = re.compile(rf"{_PREFIX}(\d{{1,9}})-[0-9a-f]+")
_PROCESSES, _EVENTS, _MEMORY = "cgroup.procs", "memory.events", "memory.max"
_REMOVAL_S: Final = 2.0
_PAUSE_S: Final = 0.005


class Groups:
    """The place for the groups of one provider's sandboxes.

    Args:
        folder: an existing group that this process may divide; None is a group that passes limits on, if
            there is one.
    """

    def __init__(self, folder: str | None) -> None:
        self._folder = Path(folder) if folder else limiting_group(own_group())
        self.usable = self._folder is not None and os.access(self._folder, os.W_OK)
        """Whether groups can be created, as far as is known."""
        if self.usable:
            self._remove_old()

    def create(self, *, memory: int | None, processes: int | None) -> Group | None:
        """A new group, or None where none can be created.

        Args:
            memory: bytes for all processes together.
            processes: the number of processes and threads.
        """
        if not self.usable or self._folder is None:
            return None
        folder = self._folder / f"{_PREFIX}{os.getpid()}-{uuid.uuid4().hex[:12]}"
        try:
            folder.mkdir()
        except OSError:
            self.usable = False
            return None
        group = Group(folder)
        for name, value in (
            (_MEMORY, memory), ("memory.swap.max", memory and 0), ("memory.oom.group", memory and 1),
            ("pids.max", processes),
        ):  # fmt: skip
            if value is not None:
                with suppress(OSError):  # the kernel does not pass this limit on
                    (folder / name).write_text(str(value))
        return group

    def give_up(self) -> None:
        """Create no more groups, because processes can't be moved into them."""
        self.usable = False

    def _remove_old(self) -> None:
        """Remove groups of processes that have died."""
        with suppress(OSError):
            for path in list(self._folder.iterdir() if self._folder else ()):
                match = _NAME.fullmatch(path.name)
                if match and not Path("/proc", match[1]).exists():
                    with suppress(OSError):
                        path.rmdir()


class Group:
    """The group of one sandbox's programs. Its supervisor stays outside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def files(self) -> Generator[dict[str, int]]:
        """Descriptors for the supervisor: `processes` moves the process that writes 0 to it, `events` counts
        the times that memory was short, and `memory` is the limit. The last two may be absent."""
        kinds = {"processes": (_PROCESSES, os.O_WRONLY)}
        if (self.folder / _MEMORY).exists():
            kinds |= {"events": (_EVENTS, os.O_RDONLY), "memory": (_MEMORY, os.O_WRONLY)}
        with ExitStack() as stack:
            files: dict[str, int] = {}
            for kind, (name, flags) in kinds.items():
                files[kind] = os.open(self.folder / name, flags | os.O_CLOEXEC)
                stack.callback(os.close, files[kind])
            yield files

    def cpu_s(self) -> float | None:
        """CPU seconds of all processes so far, or None where they are not measured."""
        with suppress(OSError, ValueError):
            for line in (self.folder / "cpu.stat").read_text().splitlines():
                name, _, value = line.partition(" ")
                if name == "usage_usec":
                    return int(value) / 1e6
        return None

    def remove(self) -> None:
        """Kill what is left in the group, and remove it."""
        deadline = time.monotonic() + _REMOVAL_S
        while True:
            with suppress(OSError):
                (self.folder / "cgroup.kill").write_text("1")
            try:
                self.folder.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                if time.monotonic() > deadline:
                    return
                time.sleep(_PAUSE_S)
            else:
                return


def limiting_group(own: Path | None) -> Path | None:
    """The group of this process or the one above it, if it passes limits on to new groups in it.
    A process takes milliseconds to move into a group, which nothing but a limit is worth.

    Args:
        own: the folder of the group of this process.
    """
    for folder in (own, own.parent) if own else ():
        with suppress(OSError):
            controllers = (folder / "cgroup.subtree_control").read_text().split()
            if os.access(folder, os.W_OK) and {"memory", "pids"} <= set(controllers):
                return folder
    return None


def own_group(proc: Path = Path("/proc/self")) -> Path | None:
    """The folder of this process's group of version 2, or None without one.

    Args:
        proc: the folder that describes this process (proc(5)).
    """
    try:
        groups = (proc / "cgroup").read_text().splitlines()
        mounts = (proc / "mountinfo").read_text().splitlines()
    except OSError:
        return None
    paths = [line[3:] for line in groups if line.startswith("0::/")]
    for mount in mounts:
        fields, _, kind = mount.partition(" - ")
        if kind.startswith("cgroup2 ") and paths:
            root, point = fields.split(" ")[3:5]
            inside = paths[0] if root == "/" else paths[0].removeprefix(root)
            folder = Path(point + inside)
            return folder if folder.is_dir() and ".." not in folder.parts else None
    return None
