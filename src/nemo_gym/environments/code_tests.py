"""Runs a model's program on the inputs of tests, in a sandbox that never sees what they expect.

```python
async for run in run_cases(session, code, [CodeCase(arguments=[3])], function="double"):
    passed = run.status == "ok" and same_value(run.value(), 6)
```

One run in a sandbox takes many inputs of a program, each in a process of its own. Only text comes back: the
caller compares it with the expected value (`verifiers.program_output`, `verifiers.plain_values`). A program
can change its own process, and even the script that starts it, but what it sends has to be right.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Final, Literal

import msgspec

from nemo_gym.environments import code_script
from nemo_gym.environments.code_script import decode, encode
from nemo_gym.environments.session import Session
from nemo_gym.sandbox import Program, ProgramResult, SandboxCreateError, SandboxPool
from nemo_gym.sandbox.errors import InvalidSandbox, SandboxFileError, SandboxStopped
from nemo_gym.wire.errors import EnvironmentFault

MAX_OUTPUT: Final = 1 << 20
"""The most bytes that a program may print or return for one input."""
MAX_CODE: Final = 1 << 20
"""The most characters of a program."""
_MAX_BYTES: Final = 7 * (code_script.MAX_TEXT + MAX_OUTPUT)
"""The most bytes of the answers of a run, in which JSON may write one byte as six."""
MARGIN_S: Final = 5.0
"""Seconds in addition to the time limit that a busy machine has for the answers of a run."""
_MAX_CASES: Final = 100
"""The most cases of a run."""
_SOURCE: Final = inspect.getsource(code_script)

Status = Literal["ok", "error", "timeout", "limit", "lost"]


class CodeCase(msgspec.Struct, frozen=True):
    """An input for a program: a text at its standard input, or arguments of its function."""

    text: str = ""
    arguments: Sequence[object] | None = None
    """Plain values."""
    seconds: float = 10.0
    """The time limit."""

    def line(self, number: int, nonce: str) -> str:
        """It as JSON for the script."""
        case = {"id": number, "nonce": nonce, "seconds": self.seconds, "input": self.text}
        if self.arguments is not None:
            case["arguments"] = encode(list(self.arguments))
        return json.dumps(case) + "\n"


class CodeRun(msgspec.Struct, frozen=True):
    """What a program did with one input."""

    status: Status
    """`error`: it raised an exception or ended with another exit code than 0; `limit`: too much output;
    `lost`: there is no answer, because it used all memory or ended the script that runs it."""
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


async def run_cases(
    holder: Session | SandboxPool,
    code: str,
    cases: Sequence[CodeCase],
    *,
    function: str | None = None,
    memory_mib: int = 1024,
    every_case: bool = False,
) -> AsyncIterator[CodeRun]:
    """What a program does with each input, in their order, up to the first one that it does not survive.

    Args:
        function: the name of its function, or of a method of its class `Solution`; None for a program that
            reads standard input.
        every_case: go on after an input that the program does not survive.

    Raises:
        EnvironmentFault: the sandbox can't be created or fails, so nothing is known about the program.
    """
    settings = {
        "code": code[:MAX_CODE],
        "function": function,
        "max_bytes": MAX_OUTPUT,
        "every_case": every_case,
    }
    first = 0
    while first < len(cases):
        part = cases[first : first + _MAX_CASES]
        nonce = secrets.token_hex(16)
        lines = [json.dumps(settings) + "\n", *(case.line(first + n, nonce) for n, case in enumerate(part))]
        result = await _run(holder, "".join(lines), part, memory_mib)
        runs = await asyncio.to_thread(lambda: list(_read(result, nonce, first)))  # noqa: B023
        if not runs or (len(runs) < len(part) and result.reason != "ok"):
            runs.append(CodeRun("timeout" if result.reason == "timeout" else "lost"))
        for run in runs:
            yield run
            if run.status != "ok" and not every_case:
                return
        first += len(runs)


async def _run(
    holder: Session | SandboxPool, stdin: str, cases: Sequence[CodeCase], memory_mib: int
) -> ProgramResult:
    longest = max(case.seconds for case in cases)
    program = Program(
        _SOURCE,
        stdin,
        # The script ends after a second unless a case takes longer.
        timeout_s=longest + code_script.STOP_S + MARGIN_S,
        memory_mib=memory_mib,
        max_output_bytes=_MAX_BYTES,
    )
    try:
        return await holder.run_python(program)
    except (SandboxCreateError, InvalidSandbox, SandboxFileError, SandboxStopped) as error:
        raise EnvironmentFault(f"the program can't be run: {error}") from None


def _read(result: ProgramResult, nonce: str, first: int) -> Iterator[CodeRun]:
    """The answers, up to the first one that is missing or not the script's."""
    for number, line in enumerate(result.stdout.splitlines()):
        try:
            answer = msgspec.json.decode(line, type=_Answer)
        except (msgspec.MsgspecError, UnicodeError):
            return
        if (answer.id, answer.nonce) != (first + number, nonce):
            return
        yield CodeRun(answer.status, answer.output, answer.error, answer.seconds)
