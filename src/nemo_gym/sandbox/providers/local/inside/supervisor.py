"""The supervisor: the root process of a local sandbox. Everything in the sandbox is a descendant of it and
ends with it. The supervisor itself ends when the other end of its control socket closes.

It runs in the sandbox, without privileges, and does what the provider requests: start a program, kill one,
open a file, create a socket. So the provider reaches only what sandboxed code could reach itself.

The answer to the message `{"id": n, "op": ...}` is `{"id": n, ...}`. At the end of a program comes
`{"ended": run, "code": ..., "cpu_s": ..., "peak_kib": ...}`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import resource
import selectors
import signal
import socket
import termios
from time import monotonic
from types import FrameType

from nemo_gym.sandbox.providers.local.inside.channel import decoded, receive, say
from nemo_gym.sandbox.providers.local.inside.confinement import confine, default_signals, isolate, limit
from nemo_gym.sandbox.providers.local.inside.files import emptied, no_shared_objects, open_file
from nemo_gym.sandbox.providers.local.inside.processes import (
    belongs,
    children,
    descendants,
    kill_descendants,
    kill_each,
    kill_everybody,
    processes,
    processes_of_user,
)
from nemo_gym.sandbox.providers.local.inside.warm import play, show_packages, unpacked, warm_up
from nemo_gym.sandbox.providers.local.inside.watch import Watch

TYPE_CHECKING = False  # The first program need not wait for `typing`.
if TYPE_CHECKING:
    from typing import Any

_CONTROL = 3
_MOST_FDS = 4096
_MOST_SWEEPS = 100


def main(control_fd: int) -> None:
    """Serve the other end of a socket until it closes or the sandbox's time is over."""
    if control_fd != _CONTROL:
        os.dup2(control_fd, _CONTROL)
    control = socket.socket(fileno=_CONTROL)
    control.set_inheritable(False)
    # What came beside it has any numbers, and what is opened from now on has low ones.
    os.closerange(_CONTROL + 1, max(map(int, os.listdir("/proc/self/fd"))) + 1)
    data, fds = receive(control)
    plan = decoded(data)
    files = dict(zip(plan["files"], fds, strict=True))
    deadline = None if plan["ttl_s"] is None else monotonic() + plan["ttl_s"]
    try:
        grouped = isolate(plan, files)
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        say(control, {"failed": f"{error.strerror or error}{place}"})
        os._exit(1)
    supervisor = Supervisor(control, plan, files)
    if plan["warm"]:
        show_packages()
    say(control, {"ready": os.getpid(), "grouped": grouped})
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
        self._mounts: list[str] = plan["mounts"]
        self._shares_user: bool = plan["shares_user"]
        self._filter = bytes.fromhex(plan["filter"])
        self._files = files
        self._confined = "inner" in files
        self._alone = self._jailed or self._confined
        """Whether a signal to everybody reaches the processes of this sandbox only."""
        self._watch = Watch(plan, alone=self._alone)
        self._shortages = 0
        self._cold: bool = plan["warm"]
        self._runs: dict[int, int] = {}
        """Process id by run."""
        self._excess: dict[int, str] = {}
        """What was too much when a run was killed."""

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
            pause = self._watch.pause(running=bool(self._runs))
            if pause == 0.0:
                self._enforce(self._watch.excess())
                pause = self._watch.pause(running=True)
            if pause is not None:
                timeout = pause if timeout is None else min(timeout, pause)
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
                    self._watch.memory = request["memory"]
                    if "memory" in self._files:
                        os.pwrite(self._files["memory"], str(request["memory"]).encode(), 0)
                    self._runs[request["id"]] = self._run(request, fds)
                case "reset":
                    self._clear()
                    answer["clean"] = (
                        not [path for path in self._mounts if not emptied(path)] and no_shared_objects()
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
        say(self._control, answer, descriptors)
        for fd in descriptors:
            os.close(fd)
        if self._cold and request["op"] == "reset":
            self._cold = False  # The first program need not wait for it.
            warm_up()
        return True

    def _run(self, request: dict[str, Any], fds: list[int]) -> int:
        """Start a program, and return its process id once the program runs.

        Raises:
            OSError: it can't be started.
        """
        self._watch.start()
        read, write = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            try:
                self._become(request, fds[:3])
                if request["op"] == "run":
                    os.execvpe(request["argv"][0], request["argv"], request["env"])  # noqa: S606
                program = unpacked(fds[3])
                limit(resource.RLIMIT_DATA, request["memory"])
                os.environ.clear()
                os.environ.update(request["env"])
                os.closerange(_CONTROL, _MOST_FDS)
                play(program["code"], program["arguments"])
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
        default_signals()
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
            others = processes_of_user() if self._shares_user and name == "RLIMIT_NPROC" else 0
            limit(getattr(resource, name), most + others)
        if self._confined:
            confine(self._files["inner"], self._filter)

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

    def _enforce(self, excess: str) -> None:
        """Kill everything if there is too much of something."""
        if excess:
            self._excess |= dict.fromkeys(self._runs, excess)
            kill_everybody()

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
                for pid in (descendants() if self._confined else processes())
                if belongs(pid, session, mark_bytes)
            } - killed
            kill_each(pids)
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
            while pids := children():
                kill_each(pids)
                self._reap_one(0)

    def _reap_one(self, options: int) -> bool:
        """Collect the end of one process (wait4(2)), and return whether there was one."""
        try:
            ended, status, used = os.wait4(-1, options)
        except ChildProcessError:
            return False
        for run, pid in list(self._runs.items()):
            if pid == ended:
                if self._memory_was_short():
                    self._excess |= dict.fromkeys(self._runs, "memory")
                if run not in self._excess and self._alone:
                    self._enforce(self._watch.excess(at_end=True))
                del self._runs[run]
                excess = self._excess.pop(run, "")
                status = signal.SIGKILL if excess else status
                say(self._control, {"ended": run, **_end(status, used), "excess": excess})
        return ended != 0

    def _memory_was_short(self) -> bool:
        """Whether the kernel has killed the processes of the control group since the last time."""
        if "events" not in self._files:
            return False
        counts = dict(line.split() for line in os.pread(self._files["events"], 4096, 0).splitlines())
        before, self._shortages = self._shortages, int(counts.get(b"oom_kill", 0))
        return self._shortages > before


def _failure(error: OSError | ValueError) -> dict[str, Any]:
    """The error of an answer. A file name with a NUL, or one that can't be encoded, is a ValueError."""
    if isinstance(error, OSError):
        return {"errno": error.errno, "error": error.strerror}
    return {"errno": errno.EINVAL, "error": str(error)}


def _end(status: int, used: resource.struct_rusage) -> dict[str, Any]:
    return {
        "code": os.waitstatus_to_exitcode(status),
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_kib": used.ru_maxrss,
    }


def _woken(number: int, frame: FrameType | None) -> None:
    """Does nothing: the wakeup descriptor reports the signal."""
