"""The parts of tasks: modules of a repository, the bugs of each, and calls that test it."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, Final, TypeVar

from nemo_gym.environments.repository_tests import CallTest

T = TypeVar("T")
_PLACE: Final = f"{__package__}.repositories."


class Recorder:
    """Calls the right code, and writes down the text and the result of each call.

    So every expected result of a task comes from the code without a bug.
    """

    def __init__(self) -> None:
        self._imports: list[str] = []
        self._lines: list[str] = []
        self._objects: list[tuple[object, str]] = []

    def new(self, name: str, make: Callable[..., T], *arguments: Any) -> T:
        """Assign the result of a call to a variable."""
        self._lines.append(f"{name} = {self._text(make, arguments)}")
        value = make(*arguments)
        self._objects.append((value, name))
        return value

    def do(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function for its effect."""
        self._lines.append(self._text(function, arguments))
        function(*arguments)

    def attempt(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function that raises a `ValueError`."""
        self._lines.append(f"try:\n    {self._text(function, arguments)}\nexcept ValueError:\n    pass")
        with suppress(ValueError):
            function(*arguments)

    def check(self, function: Callable[..., object], *arguments: Any) -> CallTest:
        """The test whose call this is."""
        call = self._text(function, arguments)
        setup = "\n".join([*self._imports, *self._lines])
        try:
            return CallTest("", call, setup, expected=repr(function(*arguments)))
        except Exception as error:
            return CallTest("", call, setup, raises=type(error).__name__)

    def _text(self, function: Callable[..., object], arguments: tuple[Any, ...]) -> str:
        name = function.__name__
        owner = self._variable(getattr(function, "__self__", None))
        if owner is not None:
            name = f"{owner}.{name}"
        elif function.__module__.startswith(_PLACE):
            line = f"from {function.__module__.removeprefix(_PLACE)} import {name}"
            if line not in self._imports:
                self._imports.append(line)
        return f"{name}({', '.join(self._variable(each) or repr(each) for each in arguments)})"

    def _variable(self, value: object) -> str | None:
        return next((name for each, name in self._objects if each is value), None)


@cache
def text_of(code: ModuleType) -> str:
    """The text of a module or a package."""
    return inspect.getsource(code)


Draw = Callable[[random.Random, Recorder], CallTest]
"""Draws a test of one function with random arguments."""


@dataclass(frozen=True, slots=True)
class Bug:
    """A change of a module that makes every test of one `Draw` fail."""

    right: str
    """A text that occurs once in the module."""
    wrong: str
    """The text in its place."""
    symptom: str
    """What a user sees."""
    function: str
    """The name of the function with the bug."""
    witness: Draw
    """Draws a test that fails with this bug, whatever the random numbers are."""


@dataclass(frozen=True, slots=True)
class Module:
    """A module of a kind of repository."""

    code: ModuleType
    draws: tuple[Draw, ...]
    """Tests that the module passes without a bug."""
    bugs: tuple[Bug, ...]
    needs: tuple[str, ...] = ()
    """The names of the modules that it imports."""

    @property
    def name(self) -> str:
        return self.code.__name__.rpartition(".")[2]

    @property
    def text(self) -> str:
        return text_of(self.code)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of repository: a package of modules."""

    package: ModuleType
    packages: tuple[str, ...]
    """Names that the package may have in a task."""
    modules: tuple[Module, ...]
    names: dict[str, tuple[str, ...]]
    """Names in the code, and other names that a task may have in their place."""

    @property
    def name(self) -> str:
        return self.package.__name__.rpartition(".")[2]

    def closed(self, name: str) -> set[str]:
        """A module's name with those of all modules that it needs."""
        module = next(module for module in self.modules if module.name == name)
        return {name}.union(*(self.closed(need) for need in module.needs))
