"""Rules of Landlock (landlock(7)) for a sandbox on a kernel that permits no user namespaces.

A rule set names the paths that a process and its children can use, and what they can do there. Everything
else on this machine is closed to them. It needs no privilege. What Landlock does not control is closed by the
user that the code runs as, or by the filter of system calls.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Final

# <linux/landlock.h>, <asm-generic/unistd.h>
_CREATE_RULESET, _ADD_RULE = 444, 445
_VERSION, _PATH_BENEATH = 1, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _MAKE_CHAR, _MAKE_BLOCK = (1 << n for n in (0, 1, 2, 3, 6, 11))
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_FILE_RIGHTS: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_TCP: Final = 0b11
_ABSTRACT_SOCKETS_AND_SIGNALS: Final = 0b11

READ: Final = _EXECUTE | _READ_FILE | _READ_DIR
LIST: Final = _READ_DIR
USE: Final = _READ_FILE | _WRITE_FILE | _TRUNCATE | _IOCTL_DEV
"""The rights on a device."""
WRITE: Final = (1 << 15) - 1 & ~(_MAKE_CHAR | _MAKE_BLOCK)

SIGNALS: Final = 6
"""The first version that keeps signals inside."""
TRUNCATION: Final = 3
"""The first version that keeps code from emptying other files."""

_libc: Final = ctypes.CDLL(None, use_errno=True)


@cache
def version() -> int:
    """The version of Landlock in this kernel; 0 without it."""
    return max(0, _libc.syscall(_CREATE_RULESET, None, 0, _VERSION))


def reason_against(version: int, *, root: bool) -> str:
    """The reason why Landlock can't isolate the code, or an empty string. Where this process is root, the
    code runs as a user of its own, to whom the kernel permits no signals to others anyway.

    Args:
        version: the version of Landlock.
        root: whether this process is root.
    """
    least = TRUNCATION if root else SIGNALS
    if version >= least:
        return ""
    have = f"has version {version} of Landlock" if version else "has no Landlock"
    return f"the kernel {have}, and version {least} is necessary"


@contextmanager
def rulesets(rules: Mapping[str, int], *, network: bool, version: int) -> Generator[dict[str, int]]:
    """Two rule sets as file descriptors: `outer` for a supervisor, which also reads /proc, and `inner` for
    its programs.

    Args:
        rules: rights by path. A path that does not exist is left out.
        network: whether TCP is permitted.
        version: the version of Landlock to use.

    Raises:
        OSError: the kernel refuses a rule.
    """
    outer = _ruleset({**rules, "/proc": _READ_FILE | _READ_DIR}, network=network, version=version, scope=True)
    try:
        inner = _ruleset(rules, network=network, version=version, scope=False)
        try:
            yield {"outer": outer, "inner": inner}
        finally:
            os.close(inner)
    finally:
        os.close(outer)


def without(path: str, hidden: Iterable[str]) -> dict[str, int]:
    """Rules that make a path readable, but not the files of hidden folders below it. The names of those stay
    visible."""
    path = os.path.realpath(path)
    inside = [place for place in map(os.path.realpath, hidden) if Path(place).is_relative_to(path)]
    if path in inside:
        return {}
    if not inside:
        return {path: READ}
    rules = {path: LIST}
    with suppress(OSError), os.scandir(path) as entries:
        for entry in entries:
            if not entry.is_symlink():  # it leads to a place that has its own rule, or none
                rules |= without(entry.path, inside)
    return rules


def _ruleset(rules: Mapping[str, int], *, network: bool, version: int, scope: bool) -> int:
    rights = _rights(version)
    fd = _call(
        _CREATE_RULESET,
        struct.pack(
            "QQQ",
            rights,
            _TCP if version >= 4 and not network else 0,
            _ABSTRACT_SOCKETS_AND_SIGNALS if version >= SIGNALS and scope else 0,
        ),
        24,
        0,
    )
    try:
        for path, allowed in rules.items():
            with suppress(FileNotFoundError, NotADirectoryError):
                _allow(fd, path, allowed & rights)
    except OSError:
        os.close(fd)
        raise
    return fd


def _rights(version: int) -> int:
    """All rights that a version controls."""
    last = {1: _MAKE_BLOCK << 1, 2: _REFER, 3: _TRUNCATE, 4: _TRUNCATE}.get(version, _IOCTL_DEV)
    return (last << 1) - 1


def _allow(ruleset: int, path: str, rights: int) -> None:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not os.path.isdir(f"/proc/self/fd/{fd}"):
            rights &= _FILE_RIGHTS
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, fd), 0)
    finally:
        os.close(fd)


def _call(number: int, *arguments: int | bytes) -> int:
    result: int = _libc.syscall(number, *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"Landlock: {os.strerror(error)}")
    return result
