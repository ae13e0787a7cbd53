"""One-shot Python programs in warm sandboxes.

A warm sandbox has a supervisor that has already imported Python. Each program is a fork of it, alone in the
sandbox. All folders that a program can write are in memory. After a program, everything is killed and the
files are deleted. The sandbox serves the next program only if nothing else can be left: no folder, no shared
memory, no changed permission, and no limit that was hit. Otherwise it is thrown away. The supervisor can't be
signalled, traced or written to, and never has a program's text in its own memory.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any, Final

from nemo_gym.sandbox.errors import SandboxFileError
from nemo_gym.sandbox.program import Program, ProgramResult, Reason, reason_of, without_surrogates
from nemo_gym.sandbox.providers.local.control import Control, End, Run
from nemo_gym.sandbox.providers.local.launch import memory_file
from nemo_gym.support.process_output import Output

_DRAIN_S: Final = 0.25
_STOP_S: Final = 1.0


class Programs:
    """The warm sandboxes of one provider. Each serves one program at a time.

    Args:
        start: starts a warm sandbox.
        env: the variables of a program.
        isolation: the isolation that the sandboxes have.
    """

    def __init__(self, start: Callable[[], Awaitable[Control]], env: dict[str, str], isolation: str) -> None:
        self._start = start
        self._env = env
        self._isolation = isolation
        self._idle: list[Control] = []

    async def run(self, program: Program) -> ProgramResult:
        """Run a program.

        Raises:
            SandboxCreateError: no sandbox can be started.
            SandboxStopped: the sandbox failed while the program ran.
            SandboxFileError: a file of the program can't be written.
        """
        control = await self._take()
        clean = False
        try:
            result, clean = await self._run(control, program)
            return result
        finally:
            if clean and control.running:
                self._idle.append(control)
            else:
                await control.close()

    async def _take(self) -> Control:
        while self._idle:
            control = self._idle.pop()
            if control.running:
                return control
            await control.close()
        return await self._start()

    def add(self, control: Control) -> None:
        """Take over a warm sandbox that has not run anything."""
        self._idle.append(control)

    async def aclose(self) -> None:
        """End the warm sandboxes."""
        while self._idle:
            await self._idle.pop().close()

    async def _run(self, control: Control, program: Program) -> tuple[ProgramResult, bool]:
        with ExitStack() as stack:
            out = stack.enter_context(await Output.pipe(2 * program.max_output_bytes))
            err = stack.enter_context(await Output.pipe(2 * program.max_output_bytes))
            stdin = stack.enter_context(memory_file(without_surrogates(program.stdin).encode()))
            text = stack.enter_context(memory_file(_packed(program)))
            try:
                run = await control.run_python(
                    self._env,
                    program.memory_mib << 20,
                    [stdin.fileno(), out.end.fileno(), err.end.fileno(), text.fileno()],
                )
            except OSError as error:
                raise SandboxFileError(f"a program can't be started: {error}") from error
            out.end.close()
            err.end.close()
            end, late = await _end_of(control, run, program.timeout_s)
            clean = not late and not end.excess and await control.reset()
            await asyncio.wait([out.drained, err.drained], timeout=_DRAIN_S)
            return self._result(program, end, late, out.data, err.data), clean

    def _result(self, program: Program, end: End, late: bool, out: bytes, err: bytes) -> ProgramResult:
        most = program.max_output_bytes
        killed = late or bool(end.excess)
        number = end.signal
        stderr = err[:most].decode("utf-8", "replace")
        reason: Reason = reason_of(number, end.code, stderr)
        if killed:
            reason = "timeout" if late else "oom" if end.excess == "memory" else "limit"
        return ProgramResult(
            out[:most].decode("utf-8", "ignore" if len(out) > most else "replace"),
            stderr,
            len(out) > most or len(err) > most,
            end.code if number is None and not killed else None,
            number,
            reason,
            end.cpu_s,
            end.peak_kib / 1024,
            self._isolation,
        )


async def _end_of(control: Control, run: Run, limit: float) -> tuple[End, bool]:
    """The end of a program, and whether it took too long. Then it is killed, or ends with its sandbox."""
    try:
        async with asyncio.timeout(limit):
            return await asyncio.shield(run.end), False
    except TimeoutError:
        try:
            async with asyncio.timeout(_STOP_S):
                await control.clear()
                return await asyncio.shield(run.end), True
        except TimeoutError:
            return End(128 + signal.SIGKILL, limit, 0), True


def _packed(program: Program) -> bytes:
    message: dict[str, Any] = {
        "code": program.code,
        "arguments": [argument.replace("\0", "") for argument in program.arguments],
        "files": dict(program.files),
    }
    return json.dumps(message).encode()
