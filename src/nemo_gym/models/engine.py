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

KEPT_LINES: Final = 20
"""Lines of output that are shown when it fails."""


class Engine:
    """A program that serves a model over HTTP.

    Args:
        argv: the program and its arguments.
        env: its whole environment.
        url: the server's root, where `/health` answers 200 once it can be used.
        ready_s: seconds it may take until then.
        shows_output: whether what it prints is shown on standard error.
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
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._process: Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._starting: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start it, unless it was started before, without waiting for it."""
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
            self._starting.add_done_callback(_tell)

    async def ready(self) -> None:
        """Start it if need be, and return once it can be used.

        Raises:
            ModelUnreachable: it ended, or took too long, with the last that it printed.
        """
        self.begin()
        assert self._starting is not None
        await asyncio.shield(self._starting)

    @property
    def ended(self) -> str:
        """How it ended, with the last that it printed; empty as long as it runs."""
        if self._process is None or self._process.returncode is None:
            return ""
        return f"{self._argv[0]} ended with exit code {self._process.returncode}. {self._last}"

    async def stop(self) -> None:
        """End it and every process that it started."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        if self._process is None or self._reading is None:
            return
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(engine_guard.GRACE_S):
                await self._process.wait()
        self._signal(signal.SIGKILL)
        await self._process.wait()
        await asyncio.wait({self._reading}, timeout=1.0)
        self._reading.cancel()

    async def _start(self) -> None:
        began = monotonic()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", engine_guard.__file__, *self._argv,
            env=dict(self._env), stdin=PIPE, stdout=PIPE, stderr=STDOUT, start_new_session=True,
            limit=_LONGEST_LINE,
        )  # fmt: skip
        self._reading = asyncio.create_task(self._read(self._process))
        connections = Connections(self._url, direct=True)
        try:
            while not await _is_well(connections):
                if self._process.returncode is not None:
                    await asyncio.wait({self._reading}, timeout=1.0)
                    raise ModelUnreachable(self.ended)
                if monotonic() - began > self._ready_s:
                    await self._kill()
                    raise ModelUnreachable(
                        f"{self._argv[0]} is not ready after {self._ready_s:g} s. {self._last}"
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
    def _last(self) -> str:
        return "Its last output:" + ("".join(f"\n  | {line}" for line in self._lines) or " (nothing)")


log: Final = logging.getLogger(__name__)

_PAUSE_S: Final = 0.2
_LONGEST_LINE: Final = 1 << 18


async def _is_well(connections: Connections) -> bool:
    try:
        return (await connections.exchange("GET", "/health", within=5.0)).status == 200
    except NoAnswer:
        return False


async def _line(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readline()
    except ValueError:
        return b"(a line too long to keep)\n"


def _tell(starting: asyncio.Task[None]) -> None:
    if not starting.cancelled() and (error := starting.exception()):
        log.error("%s", error)
