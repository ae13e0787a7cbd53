"""A script for a sandbox: it writes a repository to a new folder and evaluates one call of its code there.

`repository_tests` adds the repository as `FILES`. The script gets calls only; the expected results are
outside the sandbox. It needs only the standard library.
"""

import builtins
import os
import sys
from contextlib import suppress
from typing import Any

FILES: dict[str, str] = {}
"""The text of each file by its path."""


def outcome(setup: str, call: str) -> tuple[str, Any]:
    """The result of a call: `value` and what it returns, or `raises` and the name of the nearest exception
    class of Python's own."""
    folder = _enter_repository()
    names: dict[str, Any] = {"__name__": "hidden_test"}
    try:
        exec(compile(setup, "setup.py", "exec"), names)  # noqa: S102
        code = compile(call, "call.py", "eval")
        try:
            return "value", eval(code, names)  # noqa: S307
        except Exception as error:
            kinds = (kind for kind in type(error).__mro__ if getattr(builtins, kind.__name__, None) is kind)
            return "raises", next(kinds).__name__
    finally:
        _remove(folder)


def _enter_repository() -> str:
    folder = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"repository-{os.urandom(8).hex()}")  # noqa: S108
    os.mkdir(folder, 0o700)
    for name, text in FILES.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8", errors="surrogatepass", newline="") as file:
            file.write(text)
    os.chdir(folder)
    sys.dont_write_bytecode = True
    sys.path.insert(0, folder)
    return folder


def _remove(folder: str) -> None:
    """Delete a folder as far as possible: a sandbox in which one is left serves no other program."""
    for path, folders, files in os.walk(folder, topdown=False):
        with suppress(OSError):
            for name in files:
                os.unlink(os.path.join(path, name))
            for name in folders:
                os.rmdir(os.path.join(path, name))
    with suppress(OSError):
        os.rmdir(folder)
