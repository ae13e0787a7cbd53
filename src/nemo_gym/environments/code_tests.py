"""Runs a model's program on the inputs of tests, in a sandbox that never sees what they expect.

```python
cases, expected = [CodeCase(arguments=[3])], [6]
is_right = lambda number, run: same_value(run.value(), expected[number])
async for run in run_cases(session, code, cases, is_right, function="double"):
    passed = run.status == "ok"
```

One run in a sandbox takes many inputs of a program. Only text comes back, and it is compared outside with the
expected value (`verifiers.program_output`, `verifiers.plain_values`). A program can change its own process,
and even the script that starts it, but what it sends has to be right.

First the inputs run one after the other in one process, because a process costs more than most tests. That
can make no wrong program pass: it learns the other inputs early, and nothing else. It could make a right
program fail, if what it did with one input disturbs the next. So an input fails only if it was the first in
its process; any other one that does not pass runs again, and so do those after it, each in a process of its
own.
"""

from __future__ import annotations

import asyncio
import binascii
import inspect
import json
import marshal
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, Final, Literal, TypeAlias

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

Status = Literal["ok", "wrong", "error", "timeout", "limit", "lost"]


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
    """`wrong`: the caller's `is_right` says so; `error`: it raised an exception or ended with another exit
    code than 0; `limit`: too much output; `lost`: there is no answer, because it used all memory or ended
    the script that runs it."""
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
    seconds: Annotated[float, msgspec.Meta(ge=0, le=86_400)]


Judge: TypeAlias = Callable[[int, CodeRun], bool]


def _accept(_number: int, _run: CodeRun) -> bool:
    return True


async def run_cases(
    holder: Session | SandboxPool,
    code: str,
    cases: Sequence[CodeCase],
    is_right: Judge = _accept,
    *,
    function: str | None = None,
    memory_mib: int = 1024,
    every_case: bool = False,
) -> AsyncIterator[CodeRun]:
    """What a program does with each input, in their order, up to the first one that it does not pass.

    Args:
        is_right: whether what the program did with the input of a number is right; it runs in a thread.
        function: the name of its function, or of a method of its class `Solution`; None for a program that
            reads standard input.
        every_case: go on after an input that the program does not pass. Each input then has a process of its
            own from the start.

    Raises:
        EnvironmentFault: the sandbox can't be created or fails, so nothing is known about the program.
    """
    request = _Request(holder, code[:MAX_CODE], function, memory_mib, is_right, every_case)
    first, together = 0, not every_case
    while first < len(cases):
        part = cases[first : first + _MAX_CASES]
        runs = await request.run(part, first, together=together)
        together = together and len(runs) == len(part)
        for run in runs:
            yield run
            if run.status != "ok" and not every_case:
                return
        first += len(runs)


@dataclass(frozen=True, slots=True)
class _Request:
    """A program that runs on cases."""

    holder: Session | SandboxPool
    code: str
    function: str | None
    memory_mib: int
    is_right: Judge
    every_case: bool

    async def run(self, part: Sequence[CodeCase], first: int, *, together: bool) -> list[CodeRun]:
        """The final results of the first cases of a part. Without `every_case` only the last one is not
        passed."""
        nonce = secrets.token_hex(16)
        settings = {
            "code": self.code,
            "function": self.function,
            "max_bytes": MAX_OUTPUT,
            "together": together,
            "every_case": self.every_case,
        }
        lines = [json.dumps(settings) + "\n", *(case.line(first + n, nonce) for n, case in enumerate(part))]
        # The script ends after a second unless a case that runs apart takes longer. Cases that run together
        # need no margin, because those without an answer run again.
        longest = max(case.seconds for case in part)
        seconds = code_script.STOP_S + (code_script.STOP_S if together else MARGIN_S + longest)
        result = await self._sandboxed("".join(lines), seconds)
        judged = self._judged(result, nonce, first, together=together)
        runs = await asyncio.to_thread(lambda: list(islice(judged, len(part))))
        if together or (runs and runs[-1].status != "ok" and not self.every_case):
            return runs
        if not runs or (len(runs) < len(part) and result.reason != "ok"):
            runs.append(CodeRun("timeout" if result.reason == "timeout" else "lost"))
        return runs

    async def _sandboxed(self, stdin: str, seconds: float) -> ProgramResult:
        program = Program(
            _SCRIPT, stdin, timeout_s=seconds, memory_mib=self.memory_mib, max_output_bytes=_MAX_BYTES
        )
        try:
            return await self.holder.run_python(program)
        except (SandboxCreateError, InvalidSandbox, SandboxFileError, SandboxStopped) as error:
            raise EnvironmentFault(f"the program can't be run: {error}") from None

    def _judged(self, result: ProgramResult, nonce: str, first: int, *, together: bool) -> Iterator[CodeRun]:
        """The answers, without `every_case` up to the first one that is not passed. It is left out if it ran
        after others in the same process."""
        for number, run in enumerate(_read(result, nonce, first)):
            if run.status == "ok" and not self.is_right(first + number, run):
                run = msgspec.structs.replace(run, status="wrong")
            if run.status == "ok" or not (together and number):
                yield run
            if run.status != "ok" and not self.every_case:
                return


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


def _script() -> str:
    """The script. An interpreter of this version, as in local sandboxes, need not compile it."""
    source = inspect.getsource(code_script)
    data = binascii.b2a_base64(marshal.dumps(compile(source, "code_script.py", "exec", optimize=2)))
    return f"""
import binascii, marshal, sys
if sys.version == {sys.version!r}:
    exec(marshal.loads(binascii.a2b_base64({data!r})))
else:
    exec({source!r})
"""


_SCRIPT: Final = _script()
