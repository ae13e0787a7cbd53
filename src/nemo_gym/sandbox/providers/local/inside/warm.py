"""Python programs in forks of a warm supervisor."""

from __future__ import annotations

import atexit
import builtins
import gc
import importlib
import linecache
import os
import site
import sys
import threading
import types

from nemo_gym.sandbox.providers.local.inside.channel import decoded
from nemo_gym.sandbox.providers.local.inside.files import make_folders

TYPE_CHECKING = False  # The first program need not wait for `typing`.
if TYPE_CHECKING:
    from typing import Any, NoReturn

_USUAL_MODULES = (
    "bisect", "collections", "copy", "datetime", "decimal", "fractions", "functools", "heapq", "io",
    "itertools", "math", "operator", "random", "re", "string", "traceback", "typing",
)  # fmt: skip


def show_packages() -> None:
    """Let programs use the installed packages, `exit` and `help`, as `site` does. The .pth files are left
    out: they may take longer than the start of the interpreter."""
    site.setquit()
    site.setcopyright()
    site.sethelper()
    sys.path += filter(os.path.isdir, site.getsitepackages())


def warm_up() -> None:
    """Import what most programs import."""
    for name in _USUAL_MODULES:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def unpacked(fd: int) -> dict[str, Any]:
    """The program of a descriptor. Only the process that runs it reads it, so that no other one
    ever has it in its memory."""
    with os.fdopen(fd, "rb") as file:
        program = decoded(file.read())
    for path, text in program["files"].items():
        make_folders(os.path.dirname(path))
        with open(path, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
    return program


def play(code: str, arguments: list[str]) -> NoReturn:
    """Run a program as the interpreter does, in this process."""
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115
    sys.stderr = sys.__stderr__ = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.argv[:] = ["program.py", *arguments]
    sys.path.insert(0, os.getcwd())
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    vars(module).update(__file__="program.py", __builtins__=builtins)
    linecache.cache["program.py"] = (len(code), None, code.splitlines(keepends=True), "program.py")
    status: object = 0
    try:
        exec(compile(code, "program.py", "exec"), vars(module))  # noqa: S102 - the jail is made for it
    except SystemExit as end:
        status = end.code
    except BaseException as error:
        traceback = importlib.import_module("traceback")
        traceback.print_exception(type(error), error, error.__traceback__ and error.__traceback__.tb_next)
        status = 1
    try:
        threading._shutdown()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]
        if status is not None and not isinstance(status, int):
            sys.stderr.write(f"{status}\n")
            status = 1
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit((status or 0) & 0xFF if isinstance(status, int | None) else 1)
