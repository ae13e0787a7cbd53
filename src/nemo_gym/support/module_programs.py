"""Runs a module of this package as a program in a process of its own, with a request and a result."""

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
    """The result that a module gives for a request; what it prints does not matter.

    Args:
        module: its program calls `answer_request`.
        what: the subject of the request, for the error.
        python: the interpreter.
        folder: the working directory.
        seconds: the most that it may take.

    Raises:
        GymError: it refused the request, ended early or ran out of time.
    """
    with TemporaryDirectory() as place:
        file = Path(place) / "result.json"
        ended = await run_program(
            [python, "-P", "-m", module, str(file)],
            folder=folder,
            env=os.environ,
            seconds=seconds,
            stdin=msgspec.json.encode(request),
        )
        if not file.exists():
            output = "".join(f"\n  | {line}" for line in ended.stderr.strip().splitlines()[-20:])
            how = "ran out of time" if ended.exit_code is None else f"ended with exit code {ended.exit_code}"
            raise GymError(f"trying {what} {how} after {ended.seconds:.0f} s:{output}")
        answer = msgspec.json.decode(file.read_bytes(), type=_Answer)
    if answer.error:
        raise GymError(answer.error)
    return msgspec.convert(answer.result, result)


def answer_request(request: type[T], work: Callable[[T], Any]) -> None:
    """The program of such a module: the request is on standard input, the result goes to the named file."""
    try:
        answer = _Answer(work(msgspec.json.decode(sys.stdin.buffer.read(), type=request)))
    except GymError as error:
        answer = _Answer(error=str(error))
    Path(sys.argv[1]).write_bytes(msgspec.json.encode(answer))


class _Answer(msgspec.Struct):
    result: Any = None
    error: str = ""
