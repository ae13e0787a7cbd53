"""A user's server program as an app of this process, if its configuration has `share: true`."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import itertools
import pkgutil
import sys
from collections.abc import Callable, Mapping
from functools import partial
from io import TextIOBase
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Protocol, TypeVar

from starlette.applications import Starlette

from nemo_gym.serving.options import AppOptions
from nemo_gym.support.modules import explained
from nemo_gym.support.threads import WorkerThreads
from nemo_gym.wire.errors import GymError, UsageError

T = TypeVar("T")

OFFER: Final = "__gym_app__"
"""The class method of a server class that builds its app."""


class NeedsOwnProcess(GymError):
    """A program can't share a process; the message has the reason."""


class Offer(Protocol):
    """The class method named `OFFER`."""

    def __call__(self, name: str, tree: Mapping[str, Any], options: AppOptions) -> Starlette:
        """The app of an instance of a configuration.

        Raises:
            NeedsOwnProcess: it can't share a process.
            UsageError: the settings are wrong.
        """
        ...


class Program:
    """The code of one instance, with modules that no other program shares.

    Args:
        file: the entry point.
        out: the file for the output of its modules; closed with the program.
    """

    def __init__(self, file: Path, out: TextIOBase) -> None:
        self._file = file
        self._out = out
        self._print = partial(print, file=out, flush=True)
        self._modules: list[str] = []

    def app(self, name: str, tree: Mapping[str, Any], options: AppOptions) -> Starlette:
        """Import the file and build the app of its server class.

        Raises:
            NeedsOwnProcess: that fails, or the modules of another program are in the way.
            UsageError: the settings are wrong.
        """
        try:
            return _offer(self._load())(name, tree, options)
        except (NeedsOwnProcess, UsageError):
            self.forget()
            raise
        except (Exception, SystemExit) as error:
            self.forget()
            raise NeedsOwnProcess(f"in this one it fails: {explained(error, self._file)}") from error

    def forget(self) -> None:
        """Remove its modules, so that the next program loads its own."""
        for module in self._modules:
            sys.modules.pop(module, None)
        self._out.close()

    def _load(self) -> ModuleType:
        folder, root = self._file.parent, str(self._file.parents[2])
        self._refuse_clashes(folder)
        name = f"_gym_server_{next(_numbers)}_{self._file.stem}"
        spec = importlib.util.spec_from_file_location(name, self._file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        vars(module)["print"] = self._print
        before = set(sys.modules)
        sys.modules[name] = module
        if root not in sys.path:
            sys.path.append(root)  # servers import one another by it, at any time
        sys.path.insert(0, str(folder))
        try:
            spec.loader.exec_module(module)
        finally:
            sys.path.remove(str(folder))
            new = sys.modules.keys() - before
            self._modules = [one for one in new if _is_in(folder, _file_of(sys.modules[one]))]
            for one in self._modules:
                vars(sys.modules[one]).setdefault("print", self._print)
        return module

    def _refuse_clashes(self, folder: Path) -> None:
        """Refuse a module beside the file that has the name of another module."""
        names = {module.name for module in pkgutil.iter_modules([str(folder)])}
        for name in sorted(names - {self._file.stem, *_NOT_IMPORTED}):
            spec = None if name in sys.modules else importlib.util.find_spec(name)
            if name in sys.modules or (spec and not _is_in(folder, spec.origin)):
                raise NeedsOwnProcess(f"its module {name} has the name of another")


def _offer(module: ModuleType) -> Offer:
    """The class method that builds the app of the one server class in a module. Base classes don't count."""
    kinds = [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and value.__module__ == module.__name__ and hasattr(value, OFFER)
    ]
    servers = {kind for kind in kinds if not any(kind in other.__mro__[1:] for other in kinds)}
    if len(servers) != 1:
        names = ", ".join(sorted(kind.__name__ for kind in servers)) or "none"
        raise NeedsOwnProcess(f"it must define one server class of this package, and defines {names}")
    return getattr(servers.pop(), OFFER)


async def in_thread(work: Callable[[], T]) -> T:
    """The result of `work`, run in a thread that the end of the process does not wait for."""
    threads = WorkerThreads(1, "nemo-gym-program")
    future = threads.submit(work)
    threads.shutdown(wait=False)
    return await asyncio.wrap_future(future)


def _file_of(module: ModuleType) -> str | None:
    return getattr(module, "__file__", None)


def _is_in(folder: Path, file: str | None) -> bool:
    return file is not None and Path(file).resolve().is_relative_to(folder)


_NOT_IMPORTED: Final = ("conftest", "setup", "tests")
"""Modules that are often beside a program and that it does not import."""
_numbers: Final = itertools.count()
