"""The supervisor: the root process of a local sandbox. Everything in the sandbox is a descendant of it and
ends with it. The supervisor itself ends when the other end of its control socket closes.

It runs in the sandbox, without privileges, and does what the provider requests: start a program, kill one,
open a file, create a socket. So the provider reaches only what sandboxed code could reach itself. It needs
the standard library only: it runs as a program, without site packages, and can't see this package.

A message is JSON in one packet, with file descriptors beside it. The answer to `{"id": n, "op": ...}` is
`{"id": n, ...}`. At the end of a program comes `{"ended": run, "code": ..., "cpu_s": ..., "peak_kib": ...}`.
"""

from __future__ import annotations

import array
import atexit
import builtins
import contextlib
import ctypes
import errno
import fcntl
import gc
import glob
import importlib
import json
import linecache
import os
import resource
import selectors
import signal
import site
import socket
import stat
import struct
import sys
import termios
import threading
import types
from time import monotonic, process_time
from types import FrameType

TYPE_CHECKING = False  # The first program need not wait for `typing`.
if TYPE_CHECKING:
    from typing import Any, NoReturn

PACKET_BYTES = 1 << 18
"""The longest message."""

_MOST_FDS = 4096
_MOST_RIGHTS = 8
_MOST_SWEEPS = 100
_WATCH_S = 0.03
_MOST_FILES = 20_000
_SHARED_OBJECTS = ("shm", "sem", "msg")
_LONGEST_PATH = 4096
_libc = ctypes.CDLL(None, use_errno=True)
# <linux/prctl.h>, <linux/seccomp.h>
_PR_DEATHSIG, _PR_DUMPABLE, _PR_SECCOMP, _PR_SUBREAPER, _PR_NO_NEW_PRIVS = 1, 4, 22, 36, 38
_MODE_FILTER = 2
_RESTRICT_SELF = 446  # <asm-generic/unistd.h>: landlock_restrict_self
_DISK_LOAD = 0.05
"""The share of the time that may go into measuring the files of a sandbox."""
_USUAL_MODULES = (
    "bisect", "collections", "copy", "datetime", "decimal", "fractions", "functools", "heapq", "io",
    "itertools", "math", "operator", "random", "re", "string", "traceback", "typing",
)  # fmt: skip
_signals: Any = importlib.import_module("_signal")
"""`signal` without its enums, which take longer than the system calls."""
_CAUGHT = [int(number) for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}]


def main(control_fd: int) -> None:
    """Serve the other end of a socket until it closes or the sandbox's time is over."""
    control = socket.socket(fileno=control_fd)
    control.set_inheritable(False)
    os.closerange(3, control_fd)  # what bubblewrap left open
    os.closerange(control_fd + 1, _MOST_FDS)
    data, fds = receive(control)
    plan = decoded(data)
    files = dict(zip(plan["files"], fds, strict=True))
    deadline = None if plan["ttl_s"] is None else monotonic() + plan["ttl_s"]
    try:
        grouped = _isolate(plan, files)
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        _say(control, {"failed": f"{error.strerror or error}{place}"})
        os._exit(1)
    supervisor = Supervisor(control, plan, files)
    if plan["warm"]:
        _show_packages()
    _say(control, {"ready": os.getpid(), "grouped": grouped})
    try:
        supervisor.serve(deadline)
    finally:
        if "inner" in files:
            kill_everybody()
        if not plan["jailed"]:
            kill_descendants()
        os._exit(0)


class Supervisor:
    """Carries out the requests that come over the control socket."""

    def __init__(self, control: socket.socket, plan: dict[str, Any], files: dict[str, int]) -> None:
        """
        Args:
            control: the socket.
            plan: the first message.
            files: descriptors: `inner`, the rules of Landlock for programs, and those of a control group.
        """
        self._control = control
        self._jailed: bool = plan["jailed"]
        self._limits: dict[str, int] = plan["limits"]
        self._cores: list[int] | None = plan["cores"]
        self._memory: int | None = plan["memory"]
        self._mounts: list[str] = plan["mounts"]
        self._folders: list[str] = plan["folders"]
        self._disk: int = plan["disk"] or sys.maxsize
        self._largest: int | None = self._disk
        self._shares_user: bool = plan["shares_user"]
        self._filter = bytes.fromhex(plan["filter"])
        self._files = files
        self._confined = "inner" in files
        self._alone = self._jailed or self._confined
        """Whether a signal to everybody reaches the processes of this sandbox only."""
        self._next_size = 0.0
        self._shortages = 0
        self._cold: bool = plan["warm"]
        self._excess = ""
        self._next_watch = 0.0
        self._runs: dict[int, int] = {}
        """Process id by run."""

    def serve(self, deadline: float | None) -> None:
        """Serve until the socket closes or the deadline (monotonic) has come."""
        wake, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, _woken)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        ready = selectors.DefaultSelector()
        ready.register(self._control, selectors.EVENT_READ)
        ready.register(wake, selectors.EVENT_READ)
        while deadline is None or monotonic() < deadline:
            timeout = None if deadline is None else max(0.0, deadline - monotonic())
            if self._alone and self._memory and (self._runs or _children()):
                if monotonic() >= self._next_watch:
                    self._watch()
                until = max(0.0, self._next_watch - monotonic())
                timeout = until if timeout is None else min(timeout, until)
            for key, _ in ready.select(timeout):
                if key.fd == wake:
                    with contextlib.suppress(BlockingIOError):
                        os.read(wake, 4096)
                elif not self._serve_one():
                    return
            while self._reap_one(os.WNOHANG):
                pass

    def _serve_one(self) -> bool:
        data, fds = receive(self._control)
        if not data:
            return False
        request = decoded(data)
        answer: dict[str, Any] = {"id": request["id"]}
        descriptors: list[int] = []
        try:
            match request["op"]:
                case "run":
                    self._runs[request["id"]] = self._run(request, fds)
                case "signal":
                    self._signal(request["run"], request["number"])
                case "kill":
                    self._kill(request["run"], request["mark"])
                case "clear":
                    self._clear()
                case "python":
                    self._memory = request["memory"]
                    if "memory" in self._files:
                        os.pwrite(self._files["memory"], str(self._memory).encode(), 0)
                    self._runs[request["id"]] = self._run(request, fds)
                case "reset":
                    self._clear()
                    answer["clean"] = (
                        not [path for path in self._mounts if not _emptied(path)] and _no_shared_objects()
                    )
                case "open":
                    descriptors.append(self._open(request["path"], write=request["write"]))
                case _:
                    descriptors.append(socket.socket(socket.AF_INET, socket.SOCK_STREAM).detach())
        except (OSError, ValueError) as error:
            answer |= _failure(error)
        finally:
            for fd in fds:
                os.close(fd)
        _say(self._control, answer, descriptors)
        for fd in descriptors:
            os.close(fd)
        if self._cold and request["op"] == "reset":
            self._cold = False  # The first program need not wait for it.
            _warm_up()
        return True

    def _run(self, request: dict[str, Any], fds: list[int]) -> int:
        """Start a program, and return its process id once the program runs.

        Raises:
            OSError: it can't be started.
        """
        self._excess = ""
        self._next_watch = monotonic() + _WATCH_S
        read, write = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            try:
                self._become(request, fds[:3])
                if request["op"] == "run":
                    os.execvpe(request["argv"][0], request["argv"], request["env"])  # noqa: S606
                program = _unpacked(fds[3])
                _limit(resource.RLIMIT_DATA, request["memory"])
                os.environ.clear()
                os.environ.update(request["env"])
                os.closerange(3, _MOST_FDS)
                _play(program["code"], program["arguments"])
            except (OSError, ValueError) as error:
                os.write(write, json.dumps(_failure(error)).encode())
            finally:
                os._exit(127)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            failure = pipe.read()
        if failure:
            os.waitpid(pid, 0)
            failure = json.loads(failure)
            raise OSError(failure["errno"], failure["error"])
        return pid

    def _become(self, request: dict[str, Any], fds: list[int]) -> None:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in _CAUGHT:
            _signals.signal(number, _signals.SIG_DFL)
        for place, fd in enumerate(fds):
            os.dup2(fd, place)
        if request["tty"]:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        if request["cwd"] is not None:
            os.chdir(request["cwd"])
        if self._cores is not None:
            os.sched_setaffinity(0, self._cores)
        if "memory" in self._files or ("processes" in self._files and request["op"] == "run"):
            os.write(self._files["processes"], b"0")
        for name, most in self._limits.items():
            others = _processes_of_user() if self._shares_user and name == "RLIMIT_NPROC" else 0
            _limit(getattr(resource, name), most + others)
        if self._confined:
            _check(_libc.prctl(_PR_DEATHSIG, signal.SIGKILL, 0, 0, 0))
            _restrict(self._files["inner"])
            _filter_calls(self._filter)

    def _open(self, path: str, *, write: bool) -> int:
        """A descriptor of a file that programs can open too.

        Raises:
            OSError: it can't be opened.
        """
        fd = open_file(path, write=write)
        if self._confined and os.fstat(fd).st_dev == os.stat("/proc").st_dev:
            os.close(fd)
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return fd

    def _watch(self) -> None:
        """Kill everything when all processes and files are more than the limits of the sandbox."""
        self._next_watch = monotonic() + _WATCH_S
        used, files = _memory_of_processes(_processes() if self._jailed else descendants()), 0
        for path in self._mounts:
            state = os.statvfs(path)
            used += (state.f_blocks - state.f_bfree) * state.f_frsize
            files += state.f_files - state.f_ffree
        full = False
        if self._folders and monotonic() > self._next_size:
            start = process_time()  # on a loaded machine the time by the clock is mostly that of others
            size, files = size_of(self._folders)
            full = self._is_full(size)
            self._next_size = monotonic() + (process_time() - start) / _DISK_LOAD
        if used > (self._memory or used) or files > _MOST_FILES or full:
            self._excess = "memory" if used > (self._memory or used) else "files"
            kill_everybody()

    def _is_full(self, size: int) -> bool:
        """Whether the files have grown beyond their limit. Those that were too large for an earlier command
        stay, so that the next one can delete them."""
        if self._largest is None:
            self._largest = max(size, self._disk)
        full = size > self._largest
        if full:
            self._largest = None
        elif size <= self._disk:
            self._largest = self._disk
        return full

    def _signal(self, run: int, number: int) -> None:
        pid = self._runs.get(run)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, number)

    def _kill(self, run: int, mark: str) -> None:
        """Kill the processes of a run's session, and others that have the run's mark. It looks again until it
        finds none twice, because a process that is being killed may start another."""
        session, mark_bytes = self._runs.get(run), mark.encode()
        killed: set[int] = set()
        empty = 0
        for _ in range(_MOST_SWEEPS):
            pids = {
                pid
                for pid in (descendants() if self._confined else _processes())
                if _belongs(pid, session, mark_bytes)
            } - killed
            for pid in pids:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            killed |= pids
            empty = 0 if pids else empty + 1
            if empty == 2:
                return

    def _clear(self) -> None:
        """Kill everything in the sandbox, and return when it is gone. Where a signal reaches all processes of
        the sandbox at once, none of them can start another."""
        if self._alone:
            kill_everybody()
            while self._reap_one(0):
                pass
        else:
            while children := _children():
                for pid in children:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, signal.SIGKILL)
                self._reap_one(0)

    def _reap_one(self, options: int) -> bool:
        """Collect the end of one process (wait4(2)), and return whether there was one."""
        try:
            ended, status, used = os.wait4(-1, options)
        except ChildProcessError:
            return False
        for run, pid in list(self._runs.items()):
            if pid == ended:
                del self._runs[run]
                if not self._excess and self._memory_was_short():
                    self._excess = "memory"
                if not self._excess and self._folders:  # it may have written all of it since the last time
                    self._next_size = 0.0
                    self._watch()
                    status = signal.SIGKILL if self._excess else status
                _say(self._control, {"ended": run, **_end(status, used), "excess": self._excess})
        return ended != 0

    def _memory_was_short(self) -> bool:
        """Whether the kernel has killed the processes of the control group since the last time."""
        if "events" not in self._files:
            return False
        counts = dict(line.split() for line in os.pread(self._files["events"], 4096, 0).splitlines())
        before, self._shortages = self._shortages, int(counts.get(b"oom_kill", 0))
        return self._shortages > before


def receive(control: socket.socket) -> tuple[bytes, list[int]]:
    """The next message, which is empty at the end, and its descriptors, which no program inherits.

    Raises:
        OSError: no message can be received.
    """
    fds = array.array("i")
    data, rights, _, _ = control.recvmsg(
        PACKET_BYTES, socket.CMSG_LEN(_MOST_RIGHTS * fds.itemsize), socket.MSG_CMSG_CLOEXEC
    )
    for _, _, right in rights:
        fds.frombytes(right[: len(right) - len(right) % fds.itemsize])
    return data, list(fds)


def open_file(path: str, *, write: bool) -> int:
    """A descriptor of a regular file. To write, the file and missing folders are created.

    Raises:
        OSError: it can't be opened, or is no regular file.
    """
    flags = os.O_RDONLY
    if write:
        _make_folders(os.path.dirname(path))
        flags = os.O_WRONLY | os.O_CREAT
    fd = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(22, "not a regular file")
        if write:
            os.ftruncate(fd, 0)
    except OSError:
        os.close(fd)
        raise
    return fd


def decoded(data: bytes) -> dict[str, Any]:
    """A message. File names in it may be no Unicode (`surrogateescape`)."""
    return json.loads(data.decode("utf-8", "surrogatepass"))


def descendants() -> list[int]:
    """The processes that this process started, directly or not. It is a subreaper, so that none can leave."""
    pids = _children()
    for pid in pids:  # it grows meanwhile
        for path in glob.glob(f"/proc/{pid}/task/*/children"):
            with contextlib.suppress(OSError), open(path) as file:
                pids += [int(word) for word in file.read().split()]
    return pids


def size_of(folders: list[str]) -> tuple[int, int]:
    """Bytes on the disk and number of the files in folders, counted up to the limit, and the bytes of deleted
    files that a process still has open."""
    size = files = 0
    seen: set[tuple[int, int]] = set()
    places = list(folders)
    while places and files <= _MOST_FILES:
        with contextlib.suppress(OSError), os.scandir(places.pop()) as entries:
            for entry in entries:
                files += 1
                with contextlib.suppress(OSError):
                    size += entry.stat(follow_symlinks=False).st_blocks << 9
                    if entry.is_dir(follow_symlinks=False):
                        places.append(entry.path)
    for path in (path for pid in descendants() for path in glob.glob(f"/proc/{pid}/fd/*")):
        with contextlib.suppress(OSError):
            state = os.stat(path)
            file = state.st_dev, state.st_ino
            if not state.st_nlink and stat.S_ISREG(state.st_mode) and file not in seen:
                seen.add(file)
                size += state.st_blocks << 9
    return size, files


def kill_everybody() -> None:
    """Kill all other processes that this one may signal. Call it only where they are those of the sandbox."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)


def kill_descendants() -> None:
    """Kill and reap everything that this process started, directly or not."""
    while children := _children():
        for pid in children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, 0)


def _limit(kind: int, most: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(kind, (most, most))


def _memory_of_processes(pids: list[int]) -> int:
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


def _emptied(path: str) -> bool:
    """Delete the files of a folder, and return whether nothing else of a program can be in it."""
    try:
        for name in os.listdir(path):
            os.unlink(f"{path}/{name}")
        mode = stat.S_IMODE(os.stat(path).st_mode)
        return mode == 0o1777 and not os.listdir(path) and not os.listxattr(path)
    except OSError:
        return False


def _no_shared_objects() -> bool:
    """Whether no System V object is left, which lives longer than its processes."""
    for name in _SHARED_OBJECTS:
        with open(f"/proc/sysvipc/{name}", "rb") as file:
            if len(file.read(4096).splitlines()) > 1:
                return False
    return True


def _show_packages() -> None:
    """Let programs use the installed packages, `exit` and `help`, as `site` does. The .pth files are left
    out: they may take longer than the start of the interpreter."""
    site.setquit()
    site.setcopyright()
    site.sethelper()
    sys.path += filter(os.path.isdir, site.getsitepackages())


def _warm_up() -> None:
    """Import what most programs import."""
    for name in _USUAL_MODULES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def _unpacked(fd: int) -> dict[str, Any]:
    """The program of a descriptor. Only the process that runs it reads it, so that no other one
    ever has it in its memory."""
    with os.fdopen(fd, "rb") as file:
        program = decoded(file.read())
    for path, text in program["files"].items():
        _make_folders(os.path.dirname(path))
        with open(path, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
    return program


def _play(code: str, arguments: list[str]) -> NoReturn:
    """Run a program as the interpreter does, in this process."""
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.argv[:] = ["program.py", *arguments]
    sys.path.insert(0, os.getcwd())
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    vars(module).update(__file__="program.py", __builtins__=builtins)
    linecache.cache["program.py"] = (len(code), None, code.splitlines(keepends=True), "program.py")
    status: object = 0
    try:
        exec(compile(code, "program.py", "exec"), vars(module))  # noqa: S102 - the jail is made for it
    except SystemExit as end:
        status = end.code
    except BaseException as error:
        traceback = importlib.import_module("traceback")
        traceback.print_exception(type(error), error, error.__traceback__ and error.__traceback__.tb_next)
        status = 1
    try:
        threading._shutdown()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]
        if status is not None and not isinstance(status, int):
            sys.stderr.write(f"{status}\n")
            status = 1
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit((status or 0) & 0xFF if isinstance(status, int | None) else 1)


def _isolate(plan: dict[str, Any], files: dict[str, int]) -> bool:
    """Become what the plan says, for good. Return whether programs can join the control group, whose
    descriptors are dropped otherwise.

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
    _ignore_signals()
    if "outer" in files:
        _restrict(files.pop("outer"))
        _check_alone()
    elif plan["filter"]:
        with contextlib.suppress(OSError):
            _filter_calls(bytes.fromhex(plan["filter"]))
    os.chdir(plan["workdir"])
    return grouped


def _become_user(user: int | None) -> None:
    """Become `user` for good, without other groups. The capabilities of root are lost."""
    if user is None:
        return
    with contextlib.suppress(PermissionError):
        os.setgroups([])  # a user namespace has none
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def _filter_calls(program: bytes) -> None:
    code = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("HP", len(program) // 8, ctypes.addressof(code)))
    _check(_libc.prctl(_PR_SECCOMP, _MODE_FILTER, header, 0, 0))


def _restrict(rules: int) -> None:
    """Restrict this process and its children for good to the rules of Landlock in a descriptor."""
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


def _processes_of_user() -> int:
    """The number of processes and threads that have the user of this process (RLIMIT_NPROC counts them)."""
    total, user = 0, str(os.getuid()).encode()
    for pid in _processes():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/status", "rb") as file:
            fields = dict(line.split(b":", 1) for line in file)
            if fields[b"Uid"].split()[0] == user:
                total += int(fields[b"Threads"])
    return total


def _check(result: int) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _make_folders(path: str) -> None:
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise OSError(errno.ENAMETOOLONG, "the path is too long")
    places = [place for place, char in enumerate(path) if char == "/" and place] + [len(path)]
    for place in places if path else ():
        with contextlib.suppress(FileExistsError):
            os.mkdir(path[:place])


def _ignore_signals() -> None:
    """No signal ends the supervisor. The programs that it starts get the defaults again."""
    for number in _CAUGHT:
        _signals.signal(number, _signals.SIG_IGN)


def _failure(error: OSError | ValueError) -> dict[str, Any]:
    """The error of an answer. A file name with a NUL, or one that can't be encoded, is a ValueError."""
    if isinstance(error, OSError):
        return {"errno": error.errno, "error": error.strerror}
    return {"errno": errno.EINVAL, "error": str(error)}


def _children() -> list[int]:
    """The children of this process. It is a subreaper: children of a killed child become its own."""
    with open("/proc/thread-self/children") as file:
        return [int(word) for word in file.read().split()]


def _end(status: int, used: resource.struct_rusage) -> dict[str, Any]:
    return {
        "code": os.waitstatus_to_exitcode(status),
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_kib": used.ru_maxrss,
    }


def _woken(number: int, frame: FrameType | None) -> None:
    """Does nothing: the wakeup descriptor reports the signal."""


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _belongs(pid: int, session: int | None, mark: bytes) -> bool:
    if pid == os.getpid():
        return False
    try:
        if os.getsid(pid) == session:
            return True
        with open(f"/proc/{pid}/environ", "rb") as file:
            return mark in file.read(1 << 20).split(b"\0")
    except OSError:
        return False


def _say(control: socket.socket, message: dict[str, Any], fds: list[int] | None = None) -> None:
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    try:
        control.sendmsg([json.dumps(message).encode()], rights)
    except (BrokenPipeError, ConnectionResetError):
        sys.exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
