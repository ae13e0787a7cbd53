"""A program run to its end: an argument list, never a shell; with limits, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic
from typing import IO, Final, Self

from nemo_gym.environments import limited


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What each process of the program may use at most; None leaves a limit as it is."""

    cpu_s: int | None = None
    memory_bytes: int | None = None
    """Of address space."""
    file_bytes: int | None = None
    """The size of a file it writes."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended."""

    exit_code: int | None
    """Minus the signal's number for a program that was killed; None when it ran out of time."""
    stdout: str
    """The last of what it printed."""
    stderr: str
    seconds: float


async def run_program(
    argv: Sequence[str],
    *,
    folder: Path,
    env: Mapping[str, str],
    seconds: float,
    stdin: bytes | None = None,
    limits: Limits | None = None,
    keep_bytes: int = 64 << 10,
) -> Ended:
    """Run a program in its own session and kill whatever is left of its process group at the end.

    Args:
        argv: the program and its arguments.
        folder: its working directory.
        env: its whole environment; nothing is inherited.
        seconds: wall-clock time after which it is killed.
        stdin: what it reads; None gives it nothing to read.
        limits: applied before the program starts.
        keep_bytes: how much of the end of each output stream is kept.

    Raises:
        OSError: the program can't be started.
    """
    began = monotonic()
    with ExitStack() as files:
        source: int | IO[bytes] = DEVNULL
        if stdin is not None:
            source = files.enter_context(TemporaryFile())
            source.write(stdin)
            source.seek(0)
        async with Tail.open(keep_bytes) as out, Tail.open(keep_bytes) as err:
            process = await asyncio.create_subprocess_exec(
                *_limited(argv, limits),
                cwd=folder,
                env=dict(env),
                stdin=source,
                stdout=out.end,
                stderr=err.end,
                start_new_session=True,
            )
            out.end.close()
            err.end.close()
            timed_out = False
            try:
                async with asyncio.timeout(seconds):
                    await process.wait()
            except TimeoutError:
                timed_out = True
            finally:
                _kill_group(process.pid)
                await process.wait()
            # A process that left the group may hold the pipes open: don't wait for it.
            await asyncio.wait([out.closed, err.closed], timeout=1.0)
    return Ended(None if timed_out else process.returncode, out.text, err.text, monotonic() - began)


def clean_environment(home: Path) -> dict[str, str]:
    """An environment with nothing of this process's own but where programs are and how text is encoded."""
    kept = {name: value for name, value in os.environ.items() if name in _HARMLESS}
    return {"PATH": os.defpath, "LANG": "C.UTF-8", **kept, "HOME": str(home), "TMPDIR": str(home)}


def kill_carriers(variable: str) -> None:
    """Kill every process with this variable, `NAME=value`, in its environment: what a program left running
    in groups of its own. Linux only; elsewhere nothing happens."""
    wanted = variable.encode()
    for place in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if wanted in place.read_bytes().split(b"\0"):
                os.kill(int(place.parent.name), signal.SIGKILL)


_HARMLESS: Final = frozenset({"PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ"})


def _limited(argv: Sequence[str], limits: Limits | None) -> list[str]:
    if limits is None:
        return list(argv)
    values = {
        "RLIMIT_CPU": limits.cpu_s,
        "RLIMIT_AS": limits.memory_bytes,
        "RLIMIT_FSIZE": limits.file_bytes,
        "RLIMIT_CORE": 0,
    }
    words = [f"{name}={value}" for name, value in values.items() if value is not None]
    return [sys.executable, "-I", "-S", limited.__file__, *words, "--", *argv]


class Tail(asyncio.Protocol):
    """The last of what comes out of a pipe."""

    def __init__(self, most: int, end: IO[bytes]) -> None:
        self.end = end
        """Where it is written to."""
        self.closed = asyncio.get_running_loop().create_future()
        self._most = most
        self._tail = bytearray()

    @classmethod
    @asynccontextmanager
    async def open(cls, most: int) -> AsyncGenerator[Self, None]:
        read, write = os.pipe()
        with os.fdopen(write, "wb") as end:
            tail = cls(most, end)
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: tail, os.fdopen(read, "rb")
            )
            try:
                yield tail
            finally:
                transport.close()
                end.close()
                await tail.closed

    def data_received(self, data: bytes) -> None:
        self._tail += data
        del self._tail[: -self._most]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

    @property
    def text(self) -> str:
        return self._tail.decode("utf-8", "replace")


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
