"""Runs a module of this package as a program in another process, with a request and a result."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import msgspec

from nemo_gym.support.processes import run_program
from nemo_gym.wire.errors import GymError

T = TypeVar("T")


async def run_module(
    module: str,
    request: msgspec.Struct,
    result: type[T],
    *,
    what: str,
    python: str,
    folder: Path,
    seconds: float,
) -> T:
    """The result of a module's program for a request. Its output does not matter.

    Args:
        module: the module, whose program calls `answer_request`.
        what: the subject of the request, for error messages.
        python: the interpreter.
        folder: the working directory.
        seconds: the time limit.

    Raises:
        GymError: the program refuses the request, ends early or runs out of time.
    """
    with TemporaryDirectory() as place:
        file = Path(place) / "result.json"
        end = await run_program(
            [python, "-P", "-m", module, str(file)],
            folder=folder,
            env=os.environ,
            seconds=seconds,
            stdin=msgspec.json.encode(request),
        )
        if not file.exists():
            output = "".join(f"\n  | {line}" for line in end.stderr.strip().splitlines()[-20:])
            how = "ran out of time" if end.exit_code is None else f"ended with exit code {end.exit_code}"
            raise GymError(f"trying {what} {how} after {end.seconds:.0f} s:{output}")
        answer = msgspec.json.decode(file.read_bytes(), type=_Answer)
    if answer.error:
        raise GymError(answer.error)
    return msgspec.convert(answer.result, result)


def answer_request(request: type[T], work: Callable[[T], Any]) -> None:
    """The program of such a module. Its input is the request, and its argument is the file of the result."""
    try:
        answer = _Answer(work(msgspec.json.decode(sys.stdin.buffer.read(), type=request)))
    except GymError as error:
        answer = _Answer(error=str(error))
    Path(sys.argv[1]).write_bytes(msgspec.json.encode(answer))


class _Answer(msgspec.Struct):
    result: Any = None
    error: str = ""
