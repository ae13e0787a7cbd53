"""One task: a request for the model and the data that its verifier needs."""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar

import msgspec

from nemo_gym.wire import keys
from nemo_gym.wire.choices import explain_misfit
from nemo_gym.wire.errors import UsageError

Row: TypeAlias = dict[str, Any]
"""A task as decoded from its JSONL line, with all its fields."""


class Task(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The typed view of a row. Subclass it to declare the fields your verifier reads:

    ```python
    class Task(Task):
        expected: str
        tolerance: float = 0.0
    ```
    """

    responses_create_params: dict[str, Any] = {}
    task_id: str | int | None = None
    verifier_metadata: dict[str, Any] = {}


T = TypeVar("T", bound=Task)


def task_from_row(row: Row, kind: type[T]) -> T:
    """The typed view of a row. `verifier_metadata: null` counts as missing, because in a file from several
    sources every row has every column.

    Raises:
        UsageError: with the missing or wrong field and what it should be.
    """
    try:
        return msgspec.convert(row, kind)
    except msgspec.ValidationError as error:
        if row.get(keys.VERIFIER_METADATA, row) is None:
            rest = {key: value for key, value in row.items() if key != keys.VERIFIER_METADATA}
            return task_from_row(rest, kind)
        raise UsageError(_explain(explain_misfit(error, kind), kind)) from None


def task_to_row(task: Task | Row) -> Row:
    """The JSON object of a task."""
    return task if isinstance(task, dict) else msgspec.to_builtins(task)


def _explain(problem: str, kind: type[Task]) -> str:
    fields = msgspec.structs.fields(kind)
    required = [field.name for field in fields if field.required]
    tail = f" (a task here needs: {', '.join(required)})" if required else ""
    return problem.replace("Object missing required field", "missing column").replace("$.", "") + tail


def named_agent(row: Row) -> str:
    """The name of the agent in a row; empty without one."""
    match row.get(keys.AGENT_REF):
        case {"name": str(name)}:
            return name
        case _:
            return ""
