"""Reads an environment's own tasks as rows and reports a mistake in `tasks()` in one line with its place."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, cast

import msgspec

from nemo_gym.environments.base import Environment
from nemo_gym.support.modules import explained
from nemo_gym.wire.errors import GymError, UsageError
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.task import Row, Task


class TasksError(UsageError):
    """The `tasks()` of an environment has a mistake."""


def own_tasks(environment: Environment, split: str, seed: int, n: int | None) -> Iterator[Row]:
    """The rows of `tasks()`, at most `n` of them, one by one.

    Raises:
        TasksError: it raises, is async, or gives something that is not a task.
    """
    where = f"tasks() of {environment.name()}"
    call = "it is called as tasks(split, seed, n)"
    try:
        tasks: Any = environment.tasks(split, seed, n)
    except GymError:
        raise
    except (Exception, SystemExit) as error:
        trace = error.__traceback__
        is_of_the_call = isinstance(error, TypeError) and trace is not None and trace.tb_next is None
        hint = f" ({call})" if is_of_the_call else ""
        raise TasksError(f"{where}: {explained(error, environment.source_file())}{hint}") from error
    for number, task in enumerate(islice(_each(tasks, where, environment), n), start=1):
        yield _row(task, f"{where}: task {number}")


def rows_of(tasks: Iterable[Task | Row], where: str) -> Iterator[Row]:
    """The rows of a program's tasks.

    Raises:
        TasksError: something is not a task.
    """
    for number, task in enumerate(tasks, start=1):
        yield _row(task, f"{where} {number}")


def _each(tasks: Any, where: str, environment: Environment) -> Iterator[Any]:
    if inspect.iscoroutine(tasks) or inspect.isasyncgen(tasks):
        if inspect.iscoroutine(tasks):
            tasks.close()
        raise TasksError(f"{where}: it is async; write it as a plain function that yields tasks")
    if isinstance(tasks, (Task, Mapping)):
        raise TasksError(f"{where}: it returns one task; return a list of tasks, or yield them")
    if isinstance(tasks, (str, bytes)) or not isinstance(tasks, Iterable):
        what = "nothing (None)" if tasks is None else f"{type(tasks).__name__} {_short(tasks)}"
        raise TasksError(f"{where}: it returns {what}; return a list of tasks, or yield them")
    try:
        yield from cast("Iterable[Any]", tasks)
    except GymError:
        raise
    except (Exception, SystemExit) as error:
        raise TasksError(f"{where}: {explained(error, environment.source_file())}") from error


def _row(task: Any, where: str) -> Row:
    try:
        row: Any = cast("Any", task) if isinstance(task, dict) else msgspec.to_builtins(task)
        if isinstance(row, dict):
            encode(row)
            return cast("Row", row)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise TasksError(f"{where}: can't be written as JSON: {error}") from None
    raise TasksError(f"{where}: expected a Task or a mapping, got {_short(cast('object', task))}")


def _short(value: object) -> str:
    text = repr(value)
    return f"{text[:60]}..." if len(text) > 60 else text
