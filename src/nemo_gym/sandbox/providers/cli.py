"""Runs the command line of a container program."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from asyncio.subprocess import DEVNULL
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from nemo_gym.sandbox.errors import SandboxCreateError
from nemo_gym.support.process_output import Output


@dataclass(frozen=True, slots=True)
class CliResult:
    """The result of a command line."""

    code: int
    stdout: str
    stderr: str


class Cli:
    """A program that runs a limited number of times at once.

    Args:
        program: its name.
        concurrency: the limit.
        output_bytes: the limit for each output stream.
    """

    def __init__(self, program: str, *, concurrency: int, output_bytes: int = 1 << 20) -> None:
        self.program = program
        self._output_bytes = output_bytes
        self._turns = asyncio.Semaphore(concurrency)

    async def run(
        self,
        words: Sequence[str],
        *,
        seconds: float | None,
        env: Mapping[str, str] | None = None,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
    ) -> CliResult:
        """Run it to its end.

        Args:
            words: its arguments.
            seconds: wall-clock time after which it is killed.
            env: variables in addition to those of this process.
            stdin, stdout: files to read from and write to.

        Raises:
            SandboxCreateError: there is no such program.
            OSError: it can't be started with these arguments.
            TimeoutError: it took longer.
        """
        path = shutil.which(self.program)
        if path is None:
            raise SandboxCreateError(f"no program {self.program!r} on PATH")
        async with self._turns:
            with await Output.pipe(self._output_bytes) as out, await Output.pipe(self._output_bytes) as err:
                try:
                    process = await asyncio.create_subprocess_exec(
                        path,
                        *words,
                        stdin=DEVNULL if stdin is None else stdin,
                        stdout=out.end if stdout is None else stdout,
                        stderr=err.end,
                        env={**os.environ, **(env or {})},
                        start_new_session=True,
                    )
                except ValueError as error:  # a NUL in a word, or what can't be encoded
                    raise OSError(errno.EINVAL, str(error)) from None
                out.end.close()
                err.end.close()
                try:
                    async with asyncio.timeout(seconds):
                        code = await process.wait()
                finally:
                    if process.returncode is None:
                        with suppress(ProcessLookupError):
                            process.kill()
                        await process.wait()
                # A daemon that it started may hold the pipes open.
                await asyncio.wait([out.drained, err.drained], timeout=1.0)
        return CliResult(code, out.text, err.text)
