"""The process of one `prepare`. It reads a `Request` from standard input and writes the path of the result to
standard output. The script's own output goes to standard error."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path
from typing import Any, cast

import msgspec


class Request(msgspec.Struct):
    """The `prepare` to run, and its arguments."""

    script: str
    """The path of a Python file with a function `prepare`."""
    arguments: dict[str, Any]
    roots: list[str]
    """Additional folders for its imports."""


def main() -> None:
    """Run `prepare`. An error in it ends the process with a traceback and exit code 1."""
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=Request)
    answer = os.dup(1)
    os.dup2(2, 1)
    sys.path[:0] = [str(Path(request.script).parent), *request.roots]
    prepare = runpy.run_path(request.script).get("prepare")
    if not callable(prepare):
        sys.exit(f"{request.script} has no function prepare()")
    path = prepare(**request.arguments)
    if not isinstance(path, (str, os.PathLike)):
        sys.exit(f"prepare() returned {type(path).__name__}, not the Path that it wrote")
    os.write(answer, os.fsencode(Path(cast("str", path)).absolute()))


if __name__ == "__main__":
    main()
