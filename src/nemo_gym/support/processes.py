"""Runs a program to its end, without a shell, and ends all its processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic
from typing import IO, Final

from nemo_gym.support.process_output import Output


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a program."""

    exit_code: int | None
    """Minus the signal's number for a program that was killed; None when it ran out of time."""
    stdout: str
    """The beginning and the end of its output."""
    stderr: str
    seconds: float


async def run_program(
    argv: Sequence[str],
    *,
    folder: Path,
    env: Mapping[str, str],
    seconds: float,
    stdin: bytes | None = None,
    keep_bytes: int = 64 << 10,
) -> Ended:
    """Run a program in a new session, and kill what is left of its process group at the end.

    Args:
        argv: the program and its arguments.
        folder: its working directory.
        env: its whole environment; nothing is inherited.
        seconds: wall-clock time after which it is killed.
        stdin: its input; None is no input.
        keep_bytes: the limit for each output stream: half from its beginning, half from its end.

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
        out = files.enter_context(await Output.pipe(keep_bytes))
        err = files.enter_context(await Output.pipe(keep_bytes))
        process = await asyncio.create_subprocess_exec(
            *argv,
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
        await asyncio.wait([out.drained, err.drained], timeout=1.0)
    return Ended(None if timed_out else process.returncode, out.text, err.text, monotonic() - began)


def clean_environment(home: Path) -> dict[str, str]:
    """An environment with only those variables of this process that set program paths and text encodings."""
    variables = {name: value for name, value in os.environ.items() if name in _HARMLESS}
    return {"PATH": os.defpath, "LANG": "C.UTF-8", **variables, "HOME": str(home), "TMPDIR": str(home)}


def kill_carriers(variable: str) -> None:
    """Kill every process with this variable, `NAME=value`, in its environment: processes that a program left
    running in other groups. It works on Linux only; elsewhere it does nothing."""
    entry = variable.encode()
    for place in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if entry in place.read_bytes().split(b"\0"):
                os.kill(int(place.parent.name), signal.SIGKILL)


_HARMLESS: Final = frozenset({"PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ"})


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
