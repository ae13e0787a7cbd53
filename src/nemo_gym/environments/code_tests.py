"""Runs a model's program on the inputs of tests, in a sandbox that never sees what they expect.

```python
async with code_runner(session, code, function="double") as runner:
    run = await runner.call([3])
    passed = run.status == "ok" and same_value(run.value(), 6)
```

One sandbox runs all inputs of a program, each in a process of its own, and gets one input at a time. Only
text comes back: the caller compares it with the expected value (`verifiers.program_output`,
`verifiers.plain_values`). A program can change its own process, and even the script that starts it, but what
it sends has to be right.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

import msgspec

from nemo_gym.environments import code_script
from nemo_gym.environments.code_script import decode, encode
from nemo_gym.environments.session import Session
from nemo_gym.sandbox import SandboxCreateError, SandboxPool, SandboxPtyError, SandboxSpec
from nemo_gym.sandbox.errors import InvalidSandbox, SandboxStopped
from nemo_gym.sandbox.pty import Pty
from nemo_gym.wire.errors import EnvironmentFault

MAX_OUTPUT: Final = 1 << 20
"""The most bytes that a program may print or return for one input."""
MAX_CODE: Final = 1 << 20
"""The most characters of a program."""
_MAX_LINE: Final = 7 * MAX_OUTPUT
"""The most bytes of an answer, in which JSON may write one byte as six."""
_MARGIN_S: Final = 5.0
"""Seconds in addition to the time limit that a busy machine has for an answer."""
_SCRIPT: Final = "code_script.py"

Status = Literal["ok", "error", "timeout", "limit", "lost"]


class CodeRun(msgspec.Struct, frozen=True):
    """What a program did with one input."""

    status: Status
    """`error`: it raised an exception or ended with another exit code than 0; `limit`: too much output;
    `lost`: the program stopped the script that runs it, so there is no answer."""
    output: str = ""
    """What it printed, or the JSON of what its function returned."""
    error: str = ""
    """The end of what it wrote to standard error."""
    seconds: float = 0.0

    def value(self) -> Any:
        """What its function returned.

        Raises:
            ValueError: it is not a plain value.
        """
        try:
            return decode(json.loads(self.output))
        except (TypeError, RecursionError, OverflowError) as error:
            raise ValueError(f"no plain value: {error}") from None


class _Answer(msgspec.Struct):
    """A line of the script."""

    id: int
    nonce: str
    status: Literal["ok", "error", "timeout", "limit"]
    output: str
    error: str
    seconds: float


class CodeRunner:
    """A program in a sandbox, ready for inputs."""

    def __init__(self, pty: Pty) -> None:
        self._pty = pty
        self._buffer = bytearray()
        self._count = 0
        self._lost = False

    async def run(self, stdin: str, *, seconds: float) -> CodeRun:
        """Run the program on a text at its standard input, for at most so many seconds."""
        return await self._ask({"input": stdin}, seconds)

    async def call(self, arguments: Sequence[object], *, seconds: float) -> CodeRun:
        """Call the program's function with plain values."""
        return await self._ask({"arguments": encode(list(arguments))}, seconds)

    async def _ask(self, case: Mapping[str, Any], seconds: float) -> CodeRun:
        if self._lost:
            return CodeRun("lost")
        self._count += 1
        nonce = secrets.token_hex(16)
        line = json.dumps({"id": self._count, "nonce": nonce, "seconds": seconds, **case}) + "\n"
        try:
            async with asyncio.timeout(seconds + _MARGIN_S):
                await self._pty.write(line.encode())
                answer = await asyncio.to_thread(_read_answer, await self._line())
        except TimeoutError:
            self._lost = True
            return CodeRun("timeout", seconds=seconds)
        except (SandboxPtyError, SandboxStopped):
            answer = None
        if answer is None or (answer.id, answer.nonce) != (self._count, nonce):
            self._lost = True
            return CodeRun("lost")
        return CodeRun(answer.status, answer.output, answer.error, answer.seconds)

    async def _line(self) -> bytes:
        """The next line; empty when there is none."""
        start = 0
        while (end := self._buffer.find(b"\n", start)) < 0:
            start = len(self._buffer)
            data = await self._pty.read()
            if not data or start > _MAX_LINE:
                return b""
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line


def _read_answer(line: bytes) -> _Answer | None:
    try:
        return msgspec.json.decode(line, type=_Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


@asynccontextmanager
async def code_runner(
    holder: Session | SandboxPool, code: str, *, function: str | None = None, memory_mib: int = 1024
) -> AsyncGenerator[CodeRunner]:
    """A program in a sandbox of its own, which ends with the block.

    Args:
        function: the name of its function, or of a method of its class `Solution`; None for a program that
            reads standard input.

    Raises:
        EnvironmentFault: no sandbox can be created, so nothing is known about the program.
    """
    program = {"code": code[:MAX_CODE], "function": function, "max_bytes": MAX_OUTPUT}
    try:
        async with (
            holder.sandbox(_spec(memory_mib)) as sandbox,
            await sandbox.pty.exec(f"exec python3 -I -S -X utf8 {_SCRIPT} 2>/dev/null", pty=False) as pty,
        ):
            await pty.write(json.dumps(program).encode() + b"\n")
            yield CodeRunner(pty)
    except (SandboxCreateError, InvalidSandbox, SandboxPtyError) as error:
        raise EnvironmentFault(f"the program can't be run: {error}") from None


def _spec(memory_mib: int) -> SandboxSpec:
    limits = {"file_mib": 64, "processes": 64}
    return SandboxSpec(
        files={_SCRIPT: inspect.getsource(code_script)},
        resources={"memory_mib": memory_mib},
        provider_options={"local": {"limits": limits}},
    )
