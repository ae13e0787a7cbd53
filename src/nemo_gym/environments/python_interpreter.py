"""The interpreter of a session, in a sandbox that starts at the first use."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from typing import Final

import msgspec

from nemo_gym.environments import interpreter_script
from nemo_gym.environments.session import Session
from nemo_gym.environments.tool import ToolError
from nemo_gym.sandbox import AsyncSandbox, SandboxCreateError, SandboxPtyError, SandboxSpec
from nemo_gym.sandbox.errors import InvalidSandbox, SandboxStopped
from nemo_gym.sandbox.program import without_surrogates
from nemo_gym.sandbox.pty import Pty
from nemo_gym.wire.errors import EnvironmentFault

MAX_CODE: Final = 100_000
"""The most characters of the code of one call; what is longer is cut."""
_SCRIPT: Final = "interpreter_of_the_session.py"
_SOURCE: Final = inspect.getsource(interpreter_script)
_MAX_LINE: Final = 1 << 18
_LIMITS: Final = {"file_mib": 16, "cpu_s": 120, "processes": 32}


class CodeResult(msgspec.Struct, frozen=True):
    """What came of some code."""

    stdout: str
    stderr: str
    result: str | None = None
    """The value of its last expression, as Python writes it."""
    error: str | None = None
    """The end of the traceback of its exception."""

    @property
    def text(self) -> str:
        """All of it, as an interactive interpreter shows it."""
        value = "" if self.result is None else f"{self.result}\n"
        return self.stdout + self.stderr + value + (self.error or "")


class Interpreter:
    """Runs code for one session, and keeps its variables between the calls."""

    def __init__(self, session: Session, files: Mapping[str, str], seconds: float) -> None:
        self._session = session
        self._files = files
        self._seconds = seconds
        self._lock = asyncio.Lock()
        self._sandbox: AsyncSandbox | None = None
        self._program: Pty | None = None

    async def run(self, code: str) -> CodeResult:
        """Run some code.

        Raises:
            ToolError: it does not end in time or ends the interpreter, whose variables are then gone.
            EnvironmentFault: there is no sandbox.
        """
        async with self._lock:
            program = await self._start()
            try:
                async with asyncio.timeout(self._seconds):
                    await program.write(msgspec.json.encode(without_surrogates(code[:MAX_CODE])) + b"\n")
                    return msgspec.json.decode(await _line(program), type=CodeResult)
            except TimeoutError:
                problem = f"The code did not end within {self._seconds:g} seconds."
            except (SandboxPtyError, SandboxStopped, msgspec.DecodeError, UnicodeError, EOFError):
                problem = "The code ended the interpreter."
            await self.close()
            raise ToolError(f"{problem} Its variables and the files it wrote are gone.")

    async def close(self) -> None:
        """End the interpreter; the next call starts another one."""
        program, sandbox = self._program, self._sandbox
        self._program = self._sandbox = None
        if program is not None:
            await program.close()
        if sandbox is not None:
            await sandbox.stop()

    async def _start(self) -> Pty:
        if self._program is None:
            spec = SandboxSpec(
                files={_SCRIPT: _SOURCE, **self._files},
                resources={"memory_mib": 1024},
                provider_options={"local": {"limits": _LIMITS}},
            )
            try:
                self._sandbox = await self._session.sandbox(spec)
                command = f"exec python3 -I -u {_SCRIPT} 2>/dev/null"
                self._program = await self._sandbox.pty.exec(command, pty=False)
            except (SandboxCreateError, InvalidSandbox, SandboxPtyError) as error:
                raise EnvironmentFault(f"the code can't be run: {error}") from None
        return self._program


async def _line(program: Pty) -> bytes:
    """The next line of output.

    Raises:
        EOFError: the output ends, or the line is too long.
    """
    line = bytearray()
    while not line.endswith(b"\n"):
        data = await program.read()
        if not data or len(line) > _MAX_LINE:
            raise EOFError
        line += data
    return bytes(line)
