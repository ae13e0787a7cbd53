"""The monty provider."""

from __future__ import annotations

import asyncio
import builtins
import importlib
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Final, NoReturn

from nemo_gym.sandbox.errors import SandboxCreateError, SandboxUnsupported
from nemo_gym.sandbox.program import Program, ProgramResult, Reason, without_surrogates
from nemo_gym.sandbox.spec import SandboxExecResult, SandboxHandle, SandboxSpec, SandboxStatus
from nemo_gym.support.finishing import finish

ISOLATION: Final = "monty"
_GRACE_S: Final = 1.0
"""Seconds beyond the limit in which Monty itself ends a program; then its process is killed."""
_REASONS: Final[dict[str, Reason]] = {
    "TimeoutError": "timeout",
    "MemoryError": "oom",
    "PermissionError": "denied",
    "NotImplementedError": "denied",
    "ModuleNotFoundError": "denied",
}
"""The reasons for errors of limits, and for those about something that Monty does not have."""


class MontyProvider:
    """Runs one-shot programs (`run_python`) in processes of the Monty interpreter, and has no sandboxes.

    Monty knows a part of Python and of its standard library. It has no files, no network and no processes. It
    is the only wall: the operating system does not isolate its processes from this machine.
    """

    name = "monty"

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self._pool: Any = None
        self._opening = asyncio.Lock()

    async def run_python(self, program: Program) -> ProgramResult:
        """Run a program. `input` reads its standard input.

        Raises:
            SandboxUnsupported: the program has files or arguments.
            SandboxCreateError: Monty is not installed.
        """
        if program.files or program.arguments:
            raise SandboxUnsupported("sandbox provider 'monty' has no files and no arguments for a program")
        monty, pool = _library(), await self._open()
        output = _Output(program.max_output_bytes)
        lines = iter(without_surrogates(program.stdin).splitlines(keepends=True))
        limits = {
            "max_feed_duration_secs": program.timeout_s,
            "max_total_sleep_secs": program.timeout_s,
            "max_memory": program.memory_mib << 20,
            "max_suspensions": _MOST_SUSPENSIONS,
        }
        try:
            session = pool.checkout(script_name="program.py", limits=limits)
            await session.__aenter__()
        except monty.MontyError as error:
            raise SandboxCreateError(f"monty can't be started: {error}") from error
        began, problem = perf_counter(), None
        try:
            async with asyncio.timeout(program.timeout_s + _GRACE_S):
                await session.feed_run(
                    program.code,
                    print_callback=output.add,
                    external_lookup={"input": _reader(lines, output)},
                )
        except (monty.MontyError, TimeoutError) as error:
            problem = error
        finally:
            await finish(session.__aexit__(None, None, None))
        return _result(monty, problem, output, perf_counter() - began)

    async def create(self, spec: SandboxSpec) -> SandboxHandle:
        """There is no sandbox.

        Raises:
            SandboxCreateError: always.
        """
        raise SandboxCreateError(
            "the monty provider runs one-shot Python programs only: use another one for sandboxes"
        )

    async def exec(self, handle: SandboxHandle, command: str, **_: Any) -> SandboxExecResult:
        _refuse()

    async def upload_file(self, handle: SandboxHandle, source_path: Path, target_path: str) -> None:
        _refuse()

    async def download_file(self, handle: SandboxHandle, source_path: str, target_path: Path) -> None:
        _refuse()

    async def status(self, handle: SandboxHandle) -> SandboxStatus:
        return SandboxStatus.STOPPED

    async def close(self, handle: SandboxHandle) -> None:
        return

    async def aclose(self) -> None:
        """End the processes."""
        self._pool = None
        await self._stack.aclose()

    async def _open(self) -> Any:
        async with self._opening:
            if self._pool is None:
                pool = _library().AsyncMonty(
                    max_checkouts_per_worker=1, feed_duration_limit_grace=_GRACE_S / 2
                )
                self._pool = await self._stack.enter_async_context(pool)
        return self._pool


@dataclass(slots=True)
class _Output:
    """The two streams of a program, up to a limit of bytes each."""

    most: int
    truncated: bool = False
    streams: dict[str, bytearray] = field(
        default_factory=lambda: {"stdout": bytearray(), "stderr": bytearray()}
    )

    def add(self, stream: str, text: str) -> None:
        data = self.streams[stream]
        data += text.encode("utf-8", "replace")
        if len(data) > self.most:
            self.truncated = True
            del data[self.most :]

    def text(self, stream: str) -> str:
        return self.streams[stream].decode("utf-8", "ignore")


def _reader(lines: Iterator[str], output: _Output) -> Any:
    def read(prompt: object = "") -> str:
        output.add("stdout", str(prompt))
        line = next(lines, None)
        if line is None:
            raise EOFError("EOF when reading a line")
        return line.removesuffix("\n")

    return read


def _result(monty: Any, problem: Exception | None, output: _Output, seconds: float) -> ProgramResult:
    reason: Reason = "ok"
    match problem:
        case None:
            pass
        case TimeoutError():
            reason = "timeout"
        case monty.MontyCrashedError():
            reason = "timeout" if problem.timed_out else "limit"
            output.add("stderr", f"the interpreter ended: {problem}\n")
        case monty.MontySyntaxError() | monty.MontyRuntimeError():
            reason = _reason_of(problem.display("type-msg"))
            output.add("stderr", f"{problem.display()}\n")
        case _:
            output.add("stderr", f"{problem}\n")
    code = 0 if problem is None else 1 if reason in ("ok", "denied") else None
    return ProgramResult(
        output.text("stdout"),
        output.text("stderr"),
        output.truncated,
        code,
        None,
        reason,
        seconds,
        0.0,
        ISOLATION,
    )


def _reason_of(error: str) -> Reason:
    """The reason for an error that ended a program, from its line in the traceback."""
    kind, _, message = error.partition(": ")
    match kind:
        case "AttributeError":
            is_missing = message.startswith("module '")
        case "NameError":
            is_missing = hasattr(builtins, message.removeprefix("name '").partition("'")[0])
        case "RuntimeError":
            is_missing = message.startswith("Internal error in monty") or message.endswith(_UNSUPPORTED)
        case _:
            return _REASONS.get(kind, "ok")
    return "denied" if is_missing else "ok"


def _refuse() -> NoReturn:
    raise SandboxUnsupported("sandbox provider 'monty' has no sandboxes")


def _library() -> Any:
    try:
        return importlib.import_module("pydantic_monty")
    except ImportError as error:
        raise SandboxCreateError(
            f"the monty provider needs its package: pip install 'nemo-gym[monty]' ({error})"
        ) from None


_UNSUPPORTED: Final = "is not supported in this environment"
_MOST_SUSPENSIONS: Final = 1_000_000
"""Calls of `input` and the like."""
