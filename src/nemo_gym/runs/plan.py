"""The plan: every (task, repeat) of a run, as rows ready to dispatch (CONTRACT 5.2)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from nemo_gym.environments.base import Environment
from nemo_gym.runs.paths import whole_file
from nemo_gym.wire import keys
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.jsonl import encode, read_rows
from nemo_gym.wire.params import check_params
from nemo_gym.wire.task import Row, Task, task_from_row, task_to_row


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """How tasks become rows."""

    limit: int | None = None
    """Only the first so many tasks."""
    repeats: int = 1
    agent: str = "tool_loop"
    """Stamped on rows that name no agent."""
    sampling: dict[str, Any] = field(default_factory=dict[str, Any])
    """Request parameters laid over every row's own."""
    seed: int | None = None
    """When given, every rollout's request carries a sampling seed derived from it."""


def task_rows(
    environment: Environment,
    source: Path | Iterable[Task | Row] | None,
    *,
    split: str = "train",
    seed: int = 0,
    limit: int | None = None,
) -> Iterator[Row]:
    """The tasks of a file, of an iterable, or (None) of the environment itself, checked one by one.

    Raises:
        UsageError: a task doesn't fit the environment; for a file the message starts with `path:line:`.
    """
    if isinstance(source, Path):
        numbered = islice(read_rows(source), limit)
    else:
        tasks = environment.tasks(split, seed, limit) if source is None else source
        numbered = enumerate(map(task_to_row, islice(tasks, limit)), start=1)
    for number, row in numbered:
        try:
            check_params(row.get(keys.PARAMS))
            task_from_row(row, environment.Task)
        except UsageError as error:
            of_file = isinstance(source, Path)
            where = f"{source}:{number}" if of_file else f"task {number} of {environment.name()}"
            raise DataError(f"{where}: {error}") from None
        yield row


def expand(rows: Iterable[Row], options: PlanOptions) -> Iterator[tuple[Row, bytes]]:
    """Every rollout of the plan in order `abc -> aabbcc`: its row and the same as a JSON line.

    Identical rows are one task with more repeats. Rows are stamped with their identity; nothing is held
    but a hash per task.
    """
    seen: dict[int, tuple[int, int]] = {}
    numbered = False
    for number, source in enumerate(rows):
        row = _prepared(source, options)
        body = encode(row)
        given = row.get(keys.TASK_INDEX)
        if number == 0:
            numbered = given is not None
        if (given is not None) != numbered:
            raise DataError(
                f"task {number + 1}: some tasks have a {keys.TASK_INDEX} and some don't; give all or none"
            )
        if given is not None and (type(given) is not int or given < 0):
            raise DataError(f"task {number + 1}: {keys.TASK_INDEX} {given!r}: expected a whole number from 0")
        key = hash(body) if given is None else given
        task, times = seen.get(key, (number if given is None else given, 0))
        seen[key] = (task, times + 1)
        for rollout in range(times * options.repeats, (times + 1) * options.repeats):
            yield _stamped(row, body, task, rollout, options.seed)


def materialize(path: Path, plan: Iterable[tuple[Row, bytes]]) -> int:
    """Write the plan to a file, whole or not at all; the number of rows.

    Raises:
        UsageError: the plan is empty.
    """
    count = 0
    with whole_file(path) as file:
        for _, line in plan:
            file.write(line)
            count += 1
        if not count:
            raise UsageError("there are no tasks to run: the input is empty")
    return count


def _prepared(source: Row, options: PlanOptions) -> Row:
    row = {key: value for key, value in source.items() if key not in _NOT_INPUT}
    row.setdefault(keys.AGENT_REF, {"type": "responses_api_agents", "name": options.agent})
    if options.sampling:
        row[keys.PARAMS] = {**row[keys.PARAMS], **options.sampling}
    return row


_NOT_INPUT = keys.RESULT_KEYS | {keys.ROLLOUT_INDEX, keys.ATTEMPT_INDEX}


def _stamped(row: Row, body: bytes, task: int, rollout: int, seed: int | None) -> tuple[Row, bytes]:
    stamped = {**row, keys.TASK_INDEX: task, keys.ROLLOUT_INDEX: rollout}
    if seed is not None:
        stamped[keys.PARAMS] = _seeded(
            row[keys.PARAMS], task, zlib.crc32(f"{seed}:{task}:{rollout}".encode())
        )
        return stamped, encode(stamped) + b"\n"
    if keys.TASK_INDEX in row:
        return stamped, encode(stamped) + b"\n"
    return stamped, body[:-1] + _STAMPS % (task, rollout)


_STAMPS = f',"{keys.TASK_INDEX}":%d,"{keys.ROLLOUT_INDEX}":%d}}\n'.encode()


def _seeded(params: dict[str, Any], task: int, seed: int) -> dict[str, Any]:
    metadata: Any = params.get("metadata") or {}
    try:
        extra = msgspec.json.decode(metadata.get("extra_body", "{}"), type=dict[str, Any])
    except (msgspec.DecodeError, AttributeError, TypeError) as error:
        raise DataError(f"task {task}: metadata.extra_body must be a JSON object as text: {error}") from None
    text = encode({"seed": seed & 0x7FFFFFFF, **extra}).decode()
    return {**params, "metadata": {**metadata, "extra_body": text}}
