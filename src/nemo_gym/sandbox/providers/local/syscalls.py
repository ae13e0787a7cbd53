"""System calls that sandboxed code may not make, by a seccomp filter (seccomp(2), bpf(2)).

The code runs as the same user as its supervisor, because the jail has one user only. So it could signal the
supervisor or change its limits. Such calls do nothing and return success, so that a program that tries goes
on as before. Calls that reach things which no namespace separates, such as keyrings, are refused.
"""

from __future__ import annotations

import ctypes
import os
import struct
from errno import EPERM
from typing import NamedTuple


class _Table(NamedTuple):
    """The numbers of system calls of one kind of machine (<asm/unistd.h>, <linux/audit.h>)."""

    architecture: int
    on_first: tuple[int, ...]
    """Calls whose first argument is a process: kill, tkill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo,
    pidfd_open, prlimit64, sched_setaffinity, sched_setscheduler, sched_setparam, sched_setattr."""
    on_second: tuple[int, ...]
    """Calls whose second argument is a process: setpriority, ioprio_set. By their first it can be a user."""
    never: tuple[int, ...]
    """add_key, request_key, keyctl, bpf, userfaultfd, io_uring_setup, io_uring_enter, io_uring_register."""
    socket: int


_TABLES = {
    "x86_64": _Table(
        0xC000003E,
        (62, 200, 234, 129, 297, 434, 302, 203, 144, 142, 314),
        (141, 251),
        (248, 249, 250, 321, 323, 425, 426, 427),
        41,
    ),
    "aarch64": _Table(
        0xC00000B7,
        (129, 130, 131, 138, 240, 434, 261, 122, 119, 118, 274),
        (140, 30),
        (217, 218, 219, 280, 282, 425, 426, 427),
        198,
    ),
}


def forbid(supervisor: int) -> None:
    """Filter these calls from now on, in this process and in all that it starts.

    Args:
        supervisor: the process that no call may change or signal.

    Raises:
        OSError: the kernel has no such filters, or the machine is not a known one.
    """
    table = _TABLES.get(os.uname().machine)
    if table is None:
        raise OSError(f"system calls can't be filtered on {os.uname().machine}")
    program = _program(table, supervisor)
    code = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("HP", len(program) // 8, ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, header, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"system calls can't be filtered: {os.strerror(error)}")


def _program(table: _Table, supervisor: int) -> bytes:
    refuse, pretend = _code(_RETURN, _REFUSED | EPERM), _code(_RETURN, _REFUSED)
    lines = [
        # Calls of another machine's kind, which have other numbers, are refused.
        _code(_LOAD, _ARCHITECTURE), _code(_IF_EQUAL, table.architecture, 1, 0), refuse,
        _code(_LOAD, _NUMBER), _code(_IF_ANY_BIT, _X32, 0, 1), refuse,
    ]  # fmt: skip
    for number in table.never:
        lines += [_code(_IF_EQUAL, number, 0, 1), refuse]
    for numbers, argument in ((table.on_first, 0), (table.on_second, 1)):
        for number in numbers:
            lines += _if_argument(number, argument, supervisor, pretend)
    for number, whole_user in zip(table.on_second, (_PRIO_USER, _IOPRIO_WHO_USER), strict=True):
        lines += _if_argument(number, 0, whole_user, pretend)
    lines += _if_argument(table.socket, 0, _AF_VSOCK, refuse)
    return b"".join([*lines, _code(_RETURN, _ALLOWED)])


def _if_argument(number: int, argument: int, value: int, end: bytes) -> list[bytes]:
    """Instructions that end a call with `end` if the lower half of an argument, which is all that the kernel
    reads, has this value."""
    return [
        _code(_IF_EQUAL, number, 0, 4),
        _code(_LOAD, _ARGUMENTS + 8 * argument), _code(_IF_EQUAL, value, 0, 1), end,
        _code(_LOAD, _NUMBER),
    ]  # fmt: skip


def _code(operation: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", operation, if_true, if_false, value)


_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
# <linux/bpf_common.h>, <linux/filter.h>: 32-bit loads from `struct seccomp_data`, comparisons with a constant
_LOAD, _IF_EQUAL, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_REFUSED, _ALLOWED = 0x00050000, 0x7FFF0000
_X32 = 0x40000000
_AF_VSOCK = 40
_PRIO_USER, _IOPRIO_WHO_USER = 2, 3  # <sys/resource.h>, <linux/ioprio.h>
