"""Turns one reward function into an environment: `gym run reward.py:score --input tasks.jsonl`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, cast

import msgspec

from nemo_gym.environments.base import Environment
from nemo_gym.environments.blocking_hooks import blocking, is_blocking
from nemo_gym.environments.session import Session
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.response import Response
from nemo_gym.wire.task import Task


@cache
def environment_of(function: Callable[..., Any]) -> type[Environment]:
    """An environment without tools whose `verify` is `function`.

    The names of its parameters decide what it gets: `response` (the Response), `text` (its final text),
    `task` (the row), `session`, or a column of the row. A parameter with a default may have no column, and
    `**rest` gets all other columns. The function may be async, and may return all that `verify` may return.
    Every row is checked for the columns before the first model call.

    Raises:
        UsageError: a parameter is positional-only or `*args`.
    """
    is_required, takes_rest = _parameters(function)
    columns = [name for name in is_required if name not in _ARGUMENTS]
    fields: list[tuple[str, Any]] = [(name, Any) for name in columns if is_required[name]]
    call: Callable[..., Any] = vars(function)["__wrapped__"] if is_blocking(function) else function
    task_type = cast(
        "type[Task]", msgspec.defstruct("Task", fields, bases=(Task,), kw_only=True, omit_defaults=True)
    )

    class FunctionEnvironment(Environment):
        Task = task_type

        @classmethod
        def name(cls) -> str:
            return function.__name__

        def verify(self, task: Any, response: Response, session: Session) -> Any:
            row = session.row
            values: dict[str, Any] = {name: row[name] for name in columns if name in row}
            if takes_rest:
                values = {**{name: row[name] for name in row if name not in _ARGUMENTS}, **values}
            arguments = {"response": response, "task": row, "session": session}
            values |= {name: value for name, value in arguments.items() if name in is_required}
            if "text" in is_required:
                values["text"] = response.final_text
            return call(**values)

    if is_blocking(function):
        FunctionEnvironment.verify = blocking(FunctionEnvironment.verify)
    return _publish(FunctionEnvironment, function)


_ARGUMENTS = frozenset({"response", "text", "task", "session"})


def _parameters(function: Callable[..., Any]) -> tuple[dict[str, bool], bool]:
    is_required: dict[str, bool] = {}
    takes_rest = False
    for parameter in inspect.signature(function).parameters.values():
        match parameter.kind:
            case parameter.VAR_KEYWORD:
                takes_rest = True
            case parameter.VAR_POSITIONAL | parameter.POSITIONAL_ONLY:
                raise UsageError(
                    f"{function.__name__}(): parameter {parameter.name!r} can't be filled by name; "
                    "make it an ordinary parameter named response, text, task, session or after a column"
                )
            case _:
                is_required[parameter.name] = parameter.default is parameter.empty
    return is_required, takes_rest


def _publish(kind: type[Environment], function: Callable[..., Any]) -> type[Environment]:
    """Make the class look as if its function's module had defined it, so that it can be found and pickled."""
    kind.__module__ = function.__module__
    kind.__name__ = kind.__qualname__ = f"_{function.__name__}_environment"
    kind.__doc__ = function.__doc__
    setattr(sys.modules[function.__module__], kind.__name__, kind)
    return kind
