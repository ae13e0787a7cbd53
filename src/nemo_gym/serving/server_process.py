"""`ServerProcess`: a child process that serves: its start, its output, and the end of all that it started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections import deque
from pathlib import Path
from typing import Final

from nemo_gym.serving.fork_server import ForkedProcess, ForkServer
from nemo_gym.serving.launch import Launch
from nemo_gym.serving.redaction import APPEND, Redactor

KEPT_LINES: Final = 20
"""Lines of output in the error of a server."""
HIDDEN_VARIABLES: Final = ("NEMO_GYM_MODEL_API_KEY", "NEMO_GYM_CONFIG_DICT", "NEMO_GYM_CONFIG_PATH")
"""Variables of this process that child processes don't get; their launch has what they need."""


class ServerProcess:
    """The process of one instance. Its output goes to its log file, without secrets."""

    def __init__(self, name: str, log: Path, redactor: Redactor) -> None:
        self.name = name
        self.log = log
        self.python = sys.executable
        """The interpreter of the process."""
        self._redactor = redactor
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._process: Process | ForkedProcess | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def last_lines(self) -> str:
        """The last lines of its output, indented."""
        return "".join(f"\n  | {line}" for line in self._lines) or "\n  | (it printed nothing)"

    async def start(self, launch: Launch, *, forks: ForkServer | None = None, folder: str = "") -> None:
        """Start it and pass `launch` through a pipe.

        Args:
            forks: the fork server, which starts the process if it can; it passes no sockets.
            folder: the folder of the program, for `forks`.

        Raises:
            OSError: the program or the log file can't be opened.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        process = await forks.fork(self.name, folder, limit=_LONGEST_LINE) if forks else None
        if process is None:
            process = await self._start_ordinary(launch)
        self._process = process
        self._reading = asyncio.create_task(self._read_output())
        assert process.stdin is not None
        with contextlib.suppress(ConnectionError):
            process.stdin.write(launch.pack())
            await process.stdin.drain()

    async def _start_ordinary(self, launch: Launch) -> Process:
        return await asyncio.create_subprocess_exec(
            self.python,
            "-P",
            "-m",
            "nemo_gym.serving.server_process_main",
            self.name,
            stdin=PIPE,
            stdout=PIPE,
            stderr=STDOUT,
            env=child_environment(launch.token),
            pass_fds=tuple(launch.sockets.values()),
            start_new_session=True,
            limit=_LONGEST_LINE,
        )

    async def wait(self) -> int:
        """Its exit code, once it has ended and its output is in the log."""
        assert self._process is not None
        code = await self._process.wait()
        if self._reading is not None:
            await asyncio.wait({self._reading}, timeout=_DRAIN_S)
        return code

    async def stop(self, *, grace_s: float) -> None:
        """End it and every process that it started."""
        if self._process is None:
            return
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._process.wait()
        self._signal(signal.SIGKILL)
        await self._process.wait()
        process, self._process = self._process, None
        if self._reading is not None:
            await asyncio.wait({self._reading}, timeout=_DRAIN_S)
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if isinstance(process, ForkedProcess):
            process.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    async def _read_output(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        with os.fdopen(os.open(self.log, APPEND, 0o600), "a", encoding="utf-8") as file:
            while line := await _line(self._process.stdout):
                text = self._redactor.text(line.decode("utf-8", "replace")).rstrip("\n")
                self._lines.append(text)
                file.write(f"{text}\n")
                file.flush()


def child_environment(token: str) -> dict[str, str]:
    """The environment variables of every child: those of this process, without its secrets."""
    variables = {name: value for name, value in os.environ.items() if name not in HIDDEN_VARIABLES}
    return {name: value for name, value in variables.items() if not token or value != token} | _UNBUFFERED


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:
        return b"(a line that is too long)\n"


_DRAIN_S: Final = 1.0
"""Seconds for the rest of the output of a process that has ended; other processes may have its pipe open."""
_UNBUFFERED: Final = {"PYTHONUNBUFFERED": "1"}
_LONGEST_LINE: Final = 1 << 18
