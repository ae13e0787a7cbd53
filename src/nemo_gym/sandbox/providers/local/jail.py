"""Linux namespaces for a sandbox (namespaces(7), user_namespaces(7), mount_namespaces(7), pivot_root(2)).

The code in the jail can read the system's programs and use its own folder, and has nothing else of this
machine: no other files, processes, devices or network. Its user does not exist outside. It has no
capabilities and can't gain any.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import struct
from typing import Any

INSIDE_ID = 1000
"""The user and the group inside."""


def leave_namespaces(jail: dict[str, Any]) -> None:
    """Enter new namespaces. Before anything else happens in them, their ids must be mapped from outside.

    Raises:
        OSError: the kernel or a policy does not permit it.
    """
    flags = _NEWUSER | _NEWNS | _NEWPID | _NEWIPC | _NEWUTS | _NEWCGROUP
    if jail["network"] == "none":
        flags |= _NEWNET
    _check(_libc.unshare(flags), "user namespaces are not permitted")


def close(jail: dict[str, Any]) -> None:
    """Set up the jail's file system and network. The caller is the first process of its process namespace.

    Raises:
        OSError: a part of it is not permitted.
    """
    _mount(None, "/", None, _REC | _PRIVATE)
    _forbid_more_namespaces()
    if jail["network"] == "none":
        _raise_loopback()
    socket.sethostname("sandbox")
    root = jail["root"]
    _mount("tmpfs", root, "tmpfs", _NOSUID | _NODEV, "size=16m,mode=755")
    for path in jail["readable"]:
        _show(path, root)
    for path, text in jail["texts"].items():
        os.makedirs(os.path.dirname(root + path), exist_ok=True)
        with open(root + path, "w") as file:
            file.write(text)
    _put_devices(root)
    os.makedirs(f"{root}/proc", exist_ok=True)
    _mount("proc", f"{root}/proc", "proc", _NOSUID | _NODEV | _NOEXEC | _RDONLY)
    for source, target in jail["writable"].items():
        os.makedirs(root + target, exist_ok=True)
        _mount(source, root + target, None, _BIND)
        _remount(root + target, _NOSUID | _NODEV)
    for path in jail["readable"]:
        if path.startswith(tuple(f"{target}/" for target in jail["writable"].values())):
            _show(path, root)  # again, because the mount above covers it
    for path in jail["hidden"]:
        if os.path.isdir(root + path):
            _mount("tmpfs", root + path, "tmpfs", _NOSUID | _NODEV | _RDONLY, "size=4k,mode=755")
    for path in ("/run", "/var", "/sys", "/mnt", "/srv"):
        os.makedirs(root + path, exist_ok=True)
    os.symlink("../tmp", os.path.join(root, "var", "tmp"))
    os.chdir(root)
    _check(_libc.syscall(_PIVOT_ROOT, b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", _DETACH), "the old root can't be left")
    os.chdir("/")
    _remount("/", _RDONLY | _NOSUID | _NODEV)


def drop_privileges(user: int | None, *, die_with_parent: bool) -> None:
    """Become `user` and lose every capability for good. The children of a child that ends become children of
    this process.

    Raises:
        OSError: it can't become that user.
    """
    capability = 0
    while _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) == 0:
        capability += 1
    if user is not None:
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    header = ctypes.create_string_buffer(struct.pack("Ii", _CAPABILITY_VERSION_3, 0))
    _libc.capset(header, ctypes.create_string_buffer(24))
    death_signal = signal.SIGKILL if die_with_parent else 0
    for option, value in (
        (_PR_NO_NEW_PRIVS, 1), (_PR_SUBREAPER, 1), (_PR_DUMPABLE, 0), (_PR_DEATHSIG, death_signal),
    ):  # fmt: skip
        _check(_libc.prctl(option, value, 0, 0, 0), "prctl")


def _show(path: str, root: str) -> None:
    """Make a path of this machine readable at the same place inside."""
    if os.path.islink(path) and not os.path.lexists(root + path):
        os.makedirs(os.path.dirname(root + path), exist_ok=True)
        os.symlink(os.readlink(path), root + path)
        return
    if not os.path.exists(path) or os.path.exists(root + path):
        return
    if os.path.isdir(path):
        os.makedirs(root + path)
    else:
        os.makedirs(os.path.dirname(root + path), exist_ok=True)
        os.close(os.open(root + path, os.O_CREAT | os.O_WRONLY, 0o644))
    _mount(path, root + path, None, _BIND | _REC)
    for mounted in _mounts_below(root + path):
        _remount(mounted, _RDONLY | _NOSUID | _NODEV)


def _put_devices(root: str) -> None:
    shared, terminals = os.path.join(root, "dev", "shm"), os.path.join(root, "dev", "pts")
    os.makedirs(shared)
    os.makedirs(terminals)
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        os.close(os.open(f"{root}/dev/{name}", os.O_CREAT | os.O_WRONLY, 0o666))
        _mount(f"/dev/{name}", f"{root}/dev/{name}", None, _BIND)
    _mount("tmpfs", shared, "tmpfs", _NOSUID | _NODEV, "size=64m,mode=1777")
    _mount("devpts", terminals, "devpts", _NOSUID | _NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
    for name, target in (
        ("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2"),
    ):  # fmt: skip
        os.symlink(target, f"{root}/dev/{name}")


def _mounts_below(path: str) -> list[str]:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        places = [_unescaped(line.split()[4]) for line in file]
    return [place for place in places if place == path or place.startswith(path + "/")]


def _unescaped(text: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text


def _remount(path: str, flags: int) -> None:
    """Add restrictions to a mount, and keep those that it has."""
    present = os.statvfs(path).f_flag & (_RDONLY | _NOSUID | _NODEV | _NOEXEC)
    _mount(None, path, None, _REMOUNT | _BIND | flags | present)


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    _check(_libc.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3]), f"mount {target}")


def _forbid_more_namespaces() -> None:
    """Forbid namespaces inside, which are a way to attack the kernel. Where /proc/sys can't be written, they
    stay possible."""
    try:
        with open("/proc/sys/user/max_user_namespaces", "w") as file:
            file.write("0")
    except OSError:
        return


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _IFF_UP | _IFF_RUNNING))


def _check(result: int, what: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


_libc = ctypes.CDLL(None, use_errno=True)

# <linux/sched.h>
_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
_NEWUSER, _NEWPID, _NEWNET = 0x10000000, 0x20000000, 0x40000000
# <linux/mount.h>; statvfs(3) has the same first four
_RDONLY, _NOSUID, _NODEV, _NOEXEC = 1, 2, 4, 8
_REMOUNT, _BIND, _REC, _PRIVATE, _DETACH = 32, 4096, 16384, 1 << 18, 2
# <linux/prctl.h>, <linux/capability.h>
_PR_DEATHSIG, _PR_DUMPABLE, _PR_CAPBSET_DROP, _PR_SUBREAPER, _PR_NO_NEW_PRIVS = 1, 4, 24, 36, 38
_CAPABILITY_VERSION_3 = 0x20080522
# <linux/sockios.h>, <net/if.h>
_SIOCSIFFLAGS, _IFF_UP, _IFF_RUNNING = 0x8914, 0x1, 0x40
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}.get(os.uname().machine, -1)
