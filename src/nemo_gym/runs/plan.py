"""The plan: every (task, repeat) of a run, as rows ready to dispatch (CONTRACT 5.2)."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from nemo_gym.environments.base import Environment
from nemo_gym.environments.own_tasks import own_tasks, rows_of
from nemo_gym.runs.misfits import Misfits
from nemo_gym.runs.paths import whole_file
from nemo_gym.wire import keys
from nemo_gym.wire.errors import DataError, UsageError, did_you_mean
from nemo_gym.wire.jsonl import encode, read_rows
from nemo_gym.wire.params import check_typed_params
from nemo_gym.wire.prompt import Prompt
from nemo_gym.wire.task import Row, Task, named_agent, task_from_row

OTHERS = "_default"
"""In a map of repeats: those of agents that it doesn't name."""


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """How tasks become rows."""

    limit: int | None = None
    """Only the first so many tasks."""
    repeats: int | Mapping[str, int] = 1
    """A map says it by agent, with `_default` for the others."""
    agent: str = "tool_loop"
    """Stamped on rows that name no agent."""
    sampling: dict[str, Any] = field(default_factory=dict[str, Any])
    """Request parameters laid over every row's own."""
    columns: Row = field(default_factory=dict[str, Any])
    """Laid over every row."""
    seed: int | None = None
    """When given, every rollout's request carries a sampling seed derived from it."""
    count_seeds: bool = False
    """Every rollout's request carries its repeat number as the sampling seed."""


def task_rows(
    environment: Environment,
    source: Path | Iterable[Task | Row] | None,
    *,
    split: str = "train",
    seed: int = 0,
    limit: int | None = None,
    prompt: Prompt | None = None,
    refused: Callable[[int, str], None] | None = None,
) -> Iterator[Row]:
    """The tasks of a file, of an iterable, or (None) of the environment itself, checked one by one.

    Args:
        refused: is told the number (the line in a file) of every task that doesn't fit, and what is wrong
            with it, and the others go on; without it such a task is an error.

    Raises:
        UsageError: a task doesn't fit the environment; for a file the message starts with `path:line:`. Tasks
            that the prompt doesn't fit are named after the last one.
    """
    misfits = Misfits()
    if isinstance(source, Path):
        numbered = islice(read_rows(source), limit)
    else:
        own = own_tasks(environment, split, seed, limit) if source is None else rows_of(source, "task")
        numbered = enumerate(islice(own, limit), start=1)
    for number, row in numbered:
        if prompt is not None:
            try:
                row = prompt.applied(row)
            except DataError as error:
                (refused or misfits.add)(number, str(error))
                continue
        try:
            check_typed_params(row.get(keys.PARAMS))
            task_from_row(row, environment.Task)
        except UsageError as error:
            if refused is not None:
                refused(number, str(error))
                continue
            of_file = isinstance(source, Path)
            where = f"{source}:{number}" if of_file else f"task {number} of {environment.name()}"
            raise DataError(f"{where}: {error}") from None
        yield row
    misfits.refuse(f"prompt {prompt.name} doesn't fit " if prompt else "")


def expand(rows: Iterable[Row], options: PlanOptions) -> Iterator[tuple[Row, bytes]]:
    """Every rollout of the plan in order `abc -> aabbcc`: its row and the same as a JSON line.

    Identical rows are one task with more repeats. Rows are stamped with their identity; nothing is held
    but a hash per task.
    """
    seen: dict[int, tuple[int, int]] = {}
    repeats = options.repeats
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
        task, done = seen.get(key, (number if given is None else given, 0))
        end = done + (repeats if isinstance(repeats, int) else _repeats_of(row, repeats))
        seen[key] = (task, end)
        for rollout in range(done, end):
            yield _stamped(row, body, task, rollout, options)


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
    row.update(options.columns)
    return row


def _repeats_of(row: Row, repeats: Mapping[str, int]) -> int:
    name = named_agent(row)
    found = repeats.get(name, repeats.get(OTHERS))
    if found is None:
        hint = did_you_mean(name, repeats)
        raise UsageError(f"num_repeats says nothing of agent {name!r}, nor {OTHERS}.{hint}")
    return found


_NOT_INPUT = keys.RESULT_KEYS | {keys.ROLLOUT_INDEX, keys.ATTEMPT_INDEX}


def _stamped(row: Row, body: bytes, task: int, rollout: int, options: PlanOptions) -> tuple[Row, bytes]:
    stamped = {**row, keys.TASK_INDEX: task, keys.ROLLOUT_INDEX: rollout}
    if options.seed is not None or options.count_seeds:
        drawn = zlib.crc32(f"{options.seed}:{task}:{rollout}".encode())
        stamped[keys.PARAMS] = _seeded(row[keys.PARAMS], task, rollout if options.count_seeds else drawn)
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
