"""An inference engine as a child process: its start, its readiness check and its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections import deque
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Final

from nemo_gym.models import engine_guard
from nemo_gym.transport.exchange import Connections, NoAnswer
from nemo_gym.wire.errors import ModelUnreachable

MAX_LINES: Final = 20
"""The most lines of an engine's last output in a message about its failure."""


class Engine:
    """A program that serves a model over HTTP.

    Args:
        argv: the program and its arguments.
        env: all its environment variables.
        url: the server's root; its `/health` answers 200 once the engine is ready.
        ready_s: the most seconds until the engine is ready.
        shows_output: whether to repeat the engine's output on standard error.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        url: str,
        ready_s: float,
        shows_output: bool = False,
    ) -> None:
        self._argv = argv
        self._env = env
        self._url = url
        self._ready_s = ready_s
        self._shows_output = shows_output
        self._lines: deque[str] = deque(maxlen=MAX_LINES)
        self._process: Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._start_task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start the engine without waiting for it. Calling this again does nothing."""
        if self._start_task is None:
            self._start_task = asyncio.create_task(self._start())
            self._start_task.add_done_callback(_log_failure)

    async def ready(self) -> None:
        """Start the engine if necessary, and return when it is ready.

        Raises:
            ModelUnreachable: the engine ended, or took too long; the message has its last output.
        """
        self.begin()
        assert self._start_task is not None
        await asyncio.shield(self._start_task)

    @property
    def exit_message(self) -> str:
        """How the engine ended, with its last output; empty while it runs."""
        if self._process is None or self._process.returncode is None:
            return ""
        return f"{self._argv[0]} ended with exit code {self._process.returncode}. {self._last_output}"

    async def stop(self) -> None:
        """End the engine and every process that it started."""
        if self._start_task is not None:
            self._start_task.cancel()
            await asyncio.gather(self._start_task, return_exceptions=True)
        if self._process is None or self._reader is None:
            return
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(engine_guard.GRACE_S):
                await self._process.wait()
        self._signal(signal.SIGKILL)
        await self._process.wait()
        await asyncio.wait({self._reader}, timeout=1.0)
        self._reader.cancel()

    async def _start(self) -> None:
        began = monotonic()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", engine_guard.__file__, *self._argv,
            env=dict(self._env), stdin=PIPE, stdout=PIPE, stderr=STDOUT, start_new_session=True,
            limit=_LONGEST_LINE,
        )  # fmt: skip
        self._reader = asyncio.create_task(self._read(self._process))
        connections = Connections(self._url, direct=True)
        try:
            while not await _is_ready(connections):
                if self._process.returncode is not None:
                    await asyncio.wait({self._reader}, timeout=1.0)
                    raise ModelUnreachable(self.exit_message)
                if monotonic() - began > self._ready_s:
                    await self._kill()
                    raise ModelUnreachable(
                        f"{self._argv[0]} is not ready after {self._ready_s:g} s. {self._last_output}"
                    )
                await asyncio.sleep(_PAUSE_S)
        finally:
            await connections.aclose()

    async def _kill(self) -> None:
        self._signal(signal.SIGKILL)
        if self._process is not None:
            await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    async def _read(self, process: Process) -> None:
        assert process.stdout is not None
        while line := await _line(process.stdout):
            text = line.decode("utf-8", "replace").rstrip("\n")
            self._lines.append(text)
            if self._shows_output:
                sys.stderr.write(f"{text}\n")

    @property
    def _last_output(self) -> str:
        return "Its last output:" + ("".join(f"\n  | {line}" for line in self._lines) or " (nothing)")


log: Final = logging.getLogger(__name__)

_PAUSE_S: Final = 0.2
_LONGEST_LINE: Final = 1 << 18


async def _is_ready(connections: Connections) -> bool:
    try:
        return (await connections.exchange("GET", "/health", within=5.0)).status == 200
    except NoAnswer:
        return False


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:
        return b"(a line too long to keep)\n"


def _log_failure(start: asyncio.Task[None]) -> None:
    if not start.cancelled() and (error := start.exception()):
        log.error("%s", error)
