"""System calls that sandboxed code may not make, by a seccomp filter (seccomp(2), bpf(2)).

The code runs as the same user as its supervisor, because the jail has one user only. So it could signal the
supervisor or change its limits. Such calls do nothing and return success, so that a program that tries goes
on as before. Calls that reach things which no namespace separates, such as keyrings, are refused, and so are
calls that only attackers of the kernel make in a sandbox.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from errno import ENOSYS, EOPNOTSUPP, EPERM
from typing import Final

MACHINES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""<linux/audit.h>. The columns of the tables below are in this order."""

ON_FIRST: Final = {
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434), "prlimit64": (302, 261),
    "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119), "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
}  # fmt: skip
"""Calls whose first argument is a process (<asm/unistd.h>)."""

ON_SECOND: Final = {"setpriority": ((141, 140), 2), "ioprio_set": ((251, 30), 3)}
"""Calls whose second argument is a process; with this first argument (PRIO_USER, IOPRIO_WHO_USER) it is a
user."""

REFUSED: Final = {
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "bpf": (321, 280),
    "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "process_madvise": (440, 440), "pidfd_getfd": (438, 438),
    "kcmp": (312, 272), "perf_event_open": (298, 241), "unshare": (272, 97), "setns": (308, 268),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "move_mount": (429, 429), "open_tree": (428, 428), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "acct": (163, 89),
    "quotactl": (179, 60), "syslog": (103, 116), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "adjtimex": (159, 171), "clock_adjtime": (305, 266), "fanotify_init": (300, 262), "vhangup": (153, 58),
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "mq_open": (240, 180), "shmget": (29, 194),
}  # fmt: skip
"""Calls that fail with EPERM. The last four make memory or names that no process shows."""

_MISSING: Final = {"clone3": (435, 435)}
"""Calls that fail as on an old kernel, because a filter can't read their arguments; libc uses `clone`."""

CLONE: Final = (56, 220)
IOCTL: Final = (16, 29)
SOCKET: Final = (41, 198)
SOCKETPAIR: Final = (53, 199)
NEW_NAMESPACES: Final = 0x7E020000
"""<linux/sched.h>: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET."""
TERMINAL_INPUT: Final = (0x5412, 0x541C)
"""<asm-generic/ioctls.h>: TIOCSTI, TIOCLINUX."""
DOMAINS: Final = (1, 2, 10)
"""AF_UNIX, AF_INET, AF_INET6: the kinds of sockets that code inside can have."""

SHARED_REFUSED: Final = {
    "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190), "semop": (65, 193),
    "semtimedop": (220, 192), "semctl": (66, 191), "msgget": (68, 186), "msgsnd": (69, 189),
    "msgrcv": (70, 188), "msgctl": (71, 187), "mq_unlink": (241, 181), "inotify_init": (253, None),
    "inotify_init1": (294, 26), "inotify_add_watch": (254, 27),
}  # fmt: skip
"""Calls that fail with EPERM in a sandbox without namespaces, because they reach objects of this machine that
Landlock does not control."""

ATTRIBUTES: Final = {
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "getxattr": (191, 8),
    "lgetxattr": (192, 9), "fgetxattr": (193, 10), "listxattr": (194, 11), "llistxattr": (195, 12),
    "flistxattr": (196, 13), "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "setxattrat": (463, 463), "getxattrat": (464, 464), "listxattrat": (465, 465),
    "removexattrat": (466, 466), "file_getattr": (468, 468), "file_setattr": (469, 469),
}  # fmt: skip
"""Calls that fail there as in a file system without extended attributes."""

OWNED: Final = {
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
}  # fmt: skip
"""Calls that do nothing there and return success if the code runs as the user of this process, who owns other
files: modes, owners and times stay as they are."""

ONLY_ITSELF: Final = {
    "prlimit64": 0, "sched_setaffinity": 0, "sched_setscheduler": 0, "sched_setparam": 0, "sched_setattr": 0,
    "setpriority": 1, "ioprio_set": 1,
}  # fmt: skip
"""Calls that can change only the process itself there, and the place of the argument that is the process."""

FCNTL: Final = (72, 25)
OWNERS: Final = (8, 10, 15, 1024, 1026)
"""<linux/fcntl.h>: F_SETOWN, F_SETSIG, F_SETOWN_EX, F_SETLEASE, F_NOTIFY, which send signals."""
FILE_FLAGS: Final = (0x8901, 0x8902, 0x40086602, 0x401C5820)
"""FIOSETOWN, SIOCSPGRP, FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR."""
PAIR_TYPES: Final = tuple(kind | flags for kind in (1, 5) for flags in (0, 0x800, 0x80000, 0x80800))
"""SOCK_STREAM and SOCK_SEQPACKET, which reach no other address once they are connected."""


def filter_program(supervisor: int, machine: str = os.uname().machine) -> bytes:
    """The filter as BPF instructions.

    Args:
        supervisor: the process that no call may change or signal.
        machine: the kind of machine, as `uname -m` prints it.

    Raises:
        OSError: the machine is not a known one.
    """
    column = _column(machine)
    return b"".join([*_calls_of(machine), *_rules(supervisor, column), _code(_RETURN, _ALLOWED)])


def strict_filter(supervisor: int, *, network: bool, owner: bool, machine: str = os.uname().machine) -> bytes:
    """The filter of a program in a sandbox without namespaces.

    Args:
        supervisor: the process that no call may change or signal.
        network: whether internet sockets are permitted.
        owner: whether the code runs as a user who owns files outside.
        machine: the kind of machine, as `uname -m` prints it.

    Raises:
        OSError: the machine is not a known one.
    """
    column = _column(machine)
    refuse, pretend = _refusal(EPERM), _refusal(0)
    lines = _ending(SHARED_REFUSED.values(), column, refuse)
    lines += _ending(OWNED.values() if owner else (), column, pretend)
    lines += _ending(ATTRIBUTES.values(), column, _refusal(EOPNOTSUPP))
    # `kill` reaches a group of processes by a negative number, and all processes by -1.
    lines += _if_argument(ON_FIRST["kill"][column], 0, [-supervisor & _WORD, _WORD], pretend)
    for numbers, whole_user in ON_SECOND.values():
        lines += _if_argument(numbers[column], 0, [whole_user], refuse)
    for name, argument in ONLY_ITSELF.items():
        numbers = ON_FIRST[name] if name in ON_FIRST else ON_SECOND[name][0]
        lines += _unless_argument(numbers[column], argument, (0,), refuse)
    lines += _if_argument(FCNTL[column], 1, OWNERS, refuse)
    lines += _if_argument(IOCTL[column], 1, FILE_FLAGS, refuse)
    lines += _unless_argument(SOCKET[column], 0, DOMAINS[1:] if network else (), refuse)
    lines += _unless_argument(SOCKETPAIR[column], 0, DOMAINS[:1], refuse)
    lines += _unless_argument(SOCKETPAIR[column], 1, PAIR_TYPES, refuse)
    return b"".join([*_calls_of(machine), *lines, *_rules(supervisor, column), _code(_RETURN, _ALLOWED)])


def _column(machine: str) -> int:
    if machine not in MACHINES:
        raise OSError(f"system calls can't be filtered on {machine}")
    return list(MACHINES).index(machine)


def _calls_of(machine: str) -> list[bytes]:
    """Calls of another machine's kind, which have other numbers, are refused."""
    refuse = _refusal(EPERM)
    return [
        _code(_LOAD, _ARCHITECTURE), _code(_IF_EQUAL, MACHINES[machine], 1, 0), refuse,
        _code(_LOAD, _NUMBER), _code(_IF_ANY_BIT, _X32, 0, 1), refuse,
    ]  # fmt: skip


def _rules(supervisor: int, column: int) -> list[bytes]:
    refuse, pretend = _refusal(EPERM), _refusal(0)
    lines = _ending(REFUSED.values(), column, refuse)
    lines += _ending(_MISSING.values(), column, _refusal(ENOSYS))
    for numbers in ON_FIRST.values():
        lines += _if_argument(numbers[column], 0, [supervisor], pretend)
    for numbers, whole_user in ON_SECOND.values():
        lines += _if_argument(numbers[column], 1, [supervisor], pretend)
        lines += _if_argument(numbers[column], 0, [whole_user], pretend)
    lines += _if_argument(IOCTL[column], 1, TERMINAL_INPUT, refuse)
    lines += _if_argument(CLONE[column], 0, [NEW_NAMESPACES], refuse, _IF_ANY_BIT)
    for numbers in (SOCKET, SOCKETPAIR):
        lines += _unless_argument(numbers[column], 0, DOMAINS, refuse)
    return lines


def _ending(calls: Iterable[tuple[int, int | None]], column: int, end: bytes) -> list[bytes]:
    """Instructions that end some calls. A number is None if the machine has no such call."""
    numbers = [call[column] for call in calls]
    return [
        line for number in numbers if number is not None for line in (_code(_IF_EQUAL, number, 0, 1), end)
    ]


def _refusal(error: int) -> bytes:
    """The end of a call that does nothing: an error, or success for 0."""
    return _code(_RETURN, _ERROR | error)


def _if_argument(
    number: int, argument: int, values: list[int] | tuple[int, ...], end: bytes, test: int = 0x15
) -> list[bytes]:
    """Instructions that end a call with `end` if the lower half of an argument, which is all that the kernel
    reads, passes a test with one of the values."""
    tests = [line for value in values for line in (_code(test, value, 0, 1), end)]
    return [
        _code(_IF_EQUAL, number, 0, len(tests) + 2),
        _code(_LOAD, _ARGUMENTS + 8 * argument), *tests, _code(_LOAD, _NUMBER),
    ]  # fmt: skip


def _unless_argument(number: int, argument: int, values: tuple[int, ...], end: bytes) -> list[bytes]:
    tests = [_code(_IF_EQUAL, value, len(values) - place, 0) for place, value in enumerate(values)]
    return [
        _code(_IF_EQUAL, number, 0, len(tests) + 3),
        _code(_LOAD, _ARGUMENTS + 8 * argument), *tests, end, _code(_LOAD, _NUMBER),
    ]  # fmt: skip


def _code(operation: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", operation, if_true, if_false, value)


# <linux/bpf_common.h>, <linux/filter.h>: 32-bit loads from `struct seccomp_data`, comparisons with a constant
_LOAD, _IF_EQUAL, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_ERROR, _ALLOWED = 0x00050000, 0x7FFF0000
_X32, _WORD = 0x40000000, 0xFFFFFFFF
