"""What a supervisor takes away from itself and from its programs, for good."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import importlib
import os
import resource
import signal
import struct

TYPE_CHECKING = False  # The first program need not wait for `typing`.
if TYPE_CHECKING:
    from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)
# <linux/prctl.h>, <linux/seccomp.h>
_PR_DEATHSIG, _PR_DUMPABLE, _PR_SECCOMP, _PR_SUBREAPER, _PR_NO_NEW_PRIVS = 1, 4, 22, 36, 38
_MODE_FILTER = 2
_RESTRICT_SELF = 446  # <asm-generic/unistd.h>: landlock_restrict_self
_signals: Any = importlib.import_module("_signal")
"""`signal` without its enums, which take longer than the system calls."""
_CAUGHT = [int(number) for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}]


def isolate(plan: dict[str, Any], files: dict[str, int]) -> bool:
    """Become what the plan says. Return whether programs can join the control group, whose descriptors are
    dropped otherwise.

    Raises:
        OSError: it is not possible.
    """
    _become_user(plan["user"])
    for option, value in (
        (_PR_NO_NEW_PRIVS, 1), (_PR_SUBREAPER, 1), (_PR_DUMPABLE, 0),
        (_PR_DEATHSIG, signal.SIGKILL if plan["jailed"] else 0),
    ):  # fmt: skip
        _check(_libc.prctl(option, value, 0, 0, 0))
    grouped = "processes" in files and _can_join(files["processes"])
    if not grouped:
        for kind in ("processes", "events", "memory"):
            files.pop(kind, None)
    _handle_signals(_signals.SIG_IGN)  # none ends the supervisor
    if "outer" in files:
        _restrict(files.pop("outer"))
        _check_alone()
    elif plan["filter"]:
        with contextlib.suppress(OSError):
            filter_calls(bytes.fromhex(plan["filter"]))
    os.chdir(plan["workdir"])
    return grouped


def confine(rules: int, filter: bytes) -> None:
    """Restrict this process to rules of Landlock and by a seccomp filter. It ends with its parent.

    Raises:
        OSError: it is not possible.
    """
    _check(_libc.prctl(_PR_DEATHSIG, signal.SIGKILL, 0, 0, 0))
    _restrict(rules)
    filter_calls(filter)


def default_signals() -> None:
    """Let signals do to a program what they do by default."""
    signal.set_wakeup_fd(-1)
    _handle_signals(_signals.SIG_DFL)


def filter_calls(program: bytes) -> None:
    """Filter the system calls of this process.

    Raises:
        OSError: it is not possible.
    """
    code = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("HP", len(program) // 8, ctypes.addressof(code)))
    _check(_libc.prctl(_PR_SECCOMP, _MODE_FILTER, header, 0, 0))


def limit(kind: int, most: int) -> None:
    """Set a limit of this process (setrlimit(2)), or keep the one that it has if that is lower."""
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


def _become_user(user: int | None) -> None:
    """Become `user`, without other groups. The capabilities of root are lost."""
    if user is None:
        return
    with contextlib.suppress(PermissionError):
        os.setgroups([])  # a user namespace has none
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def _restrict(rules: int) -> None:
    """Restrict this process and its children to the rules of Landlock in a descriptor."""
    _check(_libc.syscall(_RESTRICT_SELF, rules, 0))


def _check_alone() -> None:
    """Make sure that a signal to everybody can't leave this sandbox.

    Raises:
        OSError: it can.
    """
    try:
        os.kill(os.getppid(), 0)
    except PermissionError:
        return
    raise OSError(errno.EPERM, "Landlock does not keep signals inside")


def _can_join(processes: int) -> bool:
    """Whether a process of this sandbox can move into the control group."""
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(OSError):
            os.write(processes, b"0")
            os._exit(0)
        os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


def _handle_signals(handler: object) -> None:
    for number in _CAUGHT:
        _signals.signal(number, handler)


def _check(result: int) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
