"""An interactive session in a local sandbox: a terminal, or three pipes."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import struct
import termios
from contextlib import ExitStack

from nemo_gym.sandbox.errors import SandboxPtyError, SandboxStopped
from nemo_gym.sandbox.providers.local.control import Control, Run


class LocalSession:
    """A running program; a `PtySession`."""

    def __init__(
        self, control: Control, run: Run, stdin: int, stdout: int, stderr: int | None = None
    ) -> None:
        self._control = control
        self._run = run
        self._stdin, self._stdout, self._stderr = stdin, stdout, stderr
        self._open = {fd for fd in (stdin, stdout, stderr) if fd is not None}
        for fd in self._open:
            os.set_blocking(fd, False)

    async def read(self) -> bytes:
        return await self._read(self._stdout)

    async def read_stderr(self) -> bytes:
        return b"" if self._stderr is None else await self._read(self._stderr)

    async def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            self._check_open(self._stdin)
            try:
                rest = rest[os.write(self._stdin, rest) :]
            except BlockingIOError:
                await self._ready(self._stdin, write=True)
            except OSError as error:
                raise SandboxPtyError(f"the program has closed its input: {error.strerror}") from error

    async def resize(self, rows: int, cols: int) -> None:
        if self._stdin != self._stdout:
            raise SandboxPtyError("a session without a terminal has no size")
        self._check_open(self._stdin)
        _set_size(self._stdin, rows, cols)

    async def send_signal(self, number: int) -> None:
        await self._control.signal(self._run, number)

    async def wait_exit(self) -> int:
        return (await asyncio.shield(self._run.end)).code

    async def close(self) -> None:
        if not self._open:
            return
        for fd in self._open:
            os.close(fd)
        self._open.clear()
        await self._control.kill(self._run)

    async def _read(self, fd: int) -> bytes:
        while True:
            self._check_open(fd)
            try:
                return os.read(fd, 1 << 16)
            except BlockingIOError:
                await self._ready(fd)
            except OSError:  # every program has closed the terminal
                return b""

    async def _ready(self, fd: int, *, write: bool = False) -> None:
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        add, remove = (
            (loop.add_writer, loop.remove_writer) if write else (loop.add_reader, loop.remove_reader)
        )
        own = os.dup(fd)  # a terminal is read and written at once
        add(own, lambda: ready.done() or ready.set_result(None))
        try:
            await ready
        finally:
            remove(own)
            os.close(own)

    def _check_open(self, fd: int) -> None:
        if fd not in self._open:
            raise SandboxPtyError("the session is closed")


async def open_session(
    control: Control,
    argv: list[str],
    env: dict[str, str],
    cwd: str | None,
    *,
    size: tuple[int, int] | None,
) -> LocalSession:
    """Start a program on a terminal of `size` (rows, columns), or on pipes when it is None.

    Raises:
        SandboxPtyError: it can't be started.
    """
    try:
        with ExitStack() as ours, ExitStack() as theirs:
            if size is not None:
                outer, inner = _kept(pty.openpty(), ours, theirs)
                _set_size(outer, *size)
                own, given = [outer, outer], [inner, inner, inner]
            else:
                stdin, to = _kept(os.pipe(), theirs, ours)
                out, stdout = _kept(os.pipe(), ours, theirs)
                err, stderr = _kept(os.pipe(), ours, theirs)
                own, given = [to, out, err], [stdin, stdout, stderr]
            run = await control.run(argv, env, cwd, given, tty=size is not None)
            ours.pop_all()
    except (OSError, SandboxStopped) as error:
        raise SandboxPtyError(f"{argv[0]} can't be started: {error}") from error
    return LocalSession(control, run, *own)


def _kept(ends: tuple[int, int], *stacks: ExitStack) -> tuple[int, int]:
    """Two descriptors, each of which its stack closes."""
    for fd, stack in zip(ends, stacks, strict=True):
        stack.callback(os.close, fd)
    return ends


def _set_size(fd: int, rows: int, cols: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
