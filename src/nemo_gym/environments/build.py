"""Builds an environment from its class and reports a mistake in the class in one line with its place."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

from nemo_gym.environments.base import Environment, StepEnvironment
from nemo_gym.support.modules import explained
from nemo_gym.wire.errors import GymError, UsageError


def build_environment(kind: type[Environment], settings: Mapping[str, Any] | None = None) -> Environment:
    """Build an environment from a class and its settings.

    Raises:
        UsageError: there is no such setting, the class's `Config`, `Task` or `asks` has the wrong type, or
            its own `__init__` takes no settings or raises.
    """
    for name, base in (("Config", Environment.Config), ("Task", Environment.Task)):
        if not issubclass(getattr(kind, name), base):
            right = f"write `class {name}({name}):`, with {name} from {base.__module__}"
            raise UsageError(
                f"{kind.source_file()}: {kind.__name__}.{name} is no {name} of this package: {right}"
            )
    if isinstance(kind.asks, str):
        raise UsageError(f"{kind.source_file()}: write asks = ({kind.asks!r},), a tuple of names")
    if twins := set(kind.asks) & set(kind.Config.__struct_fields__):
        what = f"{min(twins)!r} is a setting and a model that {kind.__name__} asks"
        raise UsageError(f"{kind.source_file()}: {what}: rename one")
    try:
        environment = kind(settings)
    except GymError:
        raise
    except (Exception, SystemExit) as error:
        hint = ""
        if isinstance(error, TypeError) and kind.__init__ is not Environment.__init__:
            hint = " (an __init__ of its own is written as `def __init__(self, config=None)` and calls super)"
        raise UsageError(
            f"environment {kind.name()}: {explained(error, kind.source_file())}{hint}"
        ) from error
    if not hasattr(environment, "config"):
        problem = f"{kind.source_file()}: its __init__ must call super().__init__(config)"
        raise UsageError(f"environment {kind.name()}: {problem}")
    return environment


def check_hooks(environment: Environment) -> None:
    """Check that an environment has the methods that every rollout needs, and that each can be called.

    Raises:
        UsageError: a method is missing or takes other arguments. The message has the nearest name.
    """
    base = StepEnvironment if isinstance(environment, StepEnvironment) else Environment
    for name, arguments in _ARGUMENTS.items():
        method = getattr(environment, name, None)
        if getattr(type(environment), name, None) is getattr(base, name, None):
            if name in _NEEDED[base]:
                raise UsageError(_missing(environment, name, arguments))
        elif not callable(method):
            raise UsageError(f"environment {environment.name()}: {name} is {method!r}, not a method")
        else:
            _check_call(environment, name, method, arguments)


_ARGUMENTS: Final = {
    "seed": "task, session",
    "verify": "task, response, session",
    "reset": "task, session",
    "step": "action, session",
    "close": "session",
    "oracle": "task, session",
}
"""The arguments of each method."""
_NEEDED: Final = {Environment: ("verify",), StepEnvironment: ("reset", "step")}


def _missing(environment: Environment, name: str, arguments: str) -> str:
    kind = type(environment)
    own = {member for each in kind.__mro__ for member in vars(each) if each.__module__ == kind.__module__}
    file = environment.source_file()
    near = get_close_matches(name, own - {name}, n=1, cutoff=0.7)
    hint = f". It has {near[0]}(): rename it" if near else ""
    return f"{file}: class {kind.__name__} has no {name}(self, {arguments}){hint}"


def _check_call(environment: Environment, name: str, method: Any, arguments: str) -> None:
    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):
        return  # It is not a Python function, so only a call can show whether it works.
    try:
        signature.bind(*arguments.split(", "))
    except TypeError as error:
        code = getattr(inspect.unwrap(method), "__code__", None)
        place = f"{code.co_filename}:{code.co_firstlineno}" if code else str(environment.source_file())
        raise UsageError(f"{place}: {name}() is called as {name}({arguments}): {error}") from None
