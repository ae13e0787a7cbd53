"""The plan: every (task, repeat) of a run, as rows ready to dispatch."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, cast

import msgspec

from nemo_gym.agents.base import Agent
from nemo_gym.environments.base import Environment
from nemo_gym.environments.task_source import own_tasks, rows_of
from nemo_gym.runs.bad_rows import BadRows
from nemo_gym.runs.paths import whole_file
from nemo_gym.wire import keys
from nemo_gym.wire.errors import DataError, UsageError, did_you_mean
from nemo_gym.wire.jsonl import encode, read_rows
from nemo_gym.wire.params import check_typed_params
from nemo_gym.wire.prompt import Prompt
from nemo_gym.wire.row_identity import MOST_REPEATS
from nemo_gym.wire.task import Row, Task, named_agent, task_from_row

OTHERS = "_default"
"""The key in a map of repeats for agents that it doesn't name."""


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """How tasks become rows."""

    limit: int | None = None
    """The number of tasks; None takes all."""
    num_repeats: int | Mapping[str, int] = 1
    """Rollouts per task, or by agent with `_default` for the others."""
    agent: str = "tool_loop"
    """The stamp of rows that name no agent."""
    sampling: dict[str, Any] = field(default_factory=dict[str, Any])
    """Request parameters that replace those of every row."""
    columns: Row = field(default_factory=dict[str, Any])
    """Columns that replace those of every row."""
    seed: int | None = None
    """Where set, every rollout's request has a sampling seed that is computed from it."""
    num_repeats_add_seed: bool = False
    """Every rollout's request has its repeat number as the sampling seed."""


def task_rows(
    environment: Environment,
    source: Path | Iterable[Task | Row] | None,
    *,
    split: str = "train",
    seed: int = 0,
    limit: int | None = None,
    prompt: Prompt | None = None,
    on_problem: Callable[[int, str], None] | None = None,
) -> Iterator[Row]:
    """The tasks of a file, of an iterable, or (None) of the environment itself, checked one by one.

    Args:
        on_problem: called with the number of every task that doesn't fit (its line in a file) and the
            problem; the task is then left out. None makes such a task an error.

    Raises:
        UsageError: a task doesn't fit the environment; for a file the message starts with `path:line:`. Tasks
            that the prompt doesn't fit are named after the last one.
    """
    bad_rows = BadRows()
    limit = None if limit is None else min(limit, sys.maxsize)
    if isinstance(source, Path):
        numbered = islice(read_rows(source), limit)
    else:
        own = own_tasks(environment, split, seed, limit) if source is None else rows_of(source, "task")
        numbered = enumerate(islice(own, limit), start=1)
    for number, row in numbered:
        if prompt is not None:
            try:
                row = prompt.apply(row)
            except DataError as error:
                (on_problem or bad_rows.add)(number, str(error))
                continue
        try:
            check_typed_params(row.get(keys.PARAMS))
            _check_stamps(row)
            task_from_row(row, environment.Task)
        except UsageError as error:
            if on_problem is not None:
                on_problem(number, str(error))
                continue
            of_file = isinstance(source, Path)
            where = f"{source}:{number}" if of_file else f"task {number} of {environment.name()}"
            raise DataError(f"{where}: {error}") from None
        yield row
    bad_rows.refuse(f"prompt {prompt.name} doesn't fit " if prompt else "")


def _check_stamps(row: Row) -> None:
    """Refuse a task index that is not a whole number, and an agent reference without a name."""
    index, agent = row.get(keys.TASK_INDEX), row.get(keys.AGENT_REF)
    if index is not None and (type(index) is not int or index < 0):
        raise UsageError(f"{keys.TASK_INDEX} {index!r}: expected a whole number from 0")
    has_name = isinstance(agent, dict) and isinstance(cast("Row", agent).get("name"), str)
    if agent is not None and not has_name:
        raise UsageError(f'{keys.AGENT_REF}: expected {{"name": "..."}}, got {agent!r:.80}')


def check_rows(rows: Iterable[tuple[Row, int]], agent: Agent, only: str = "") -> Iterator[tuple[Row, int]]:
    """The same rows, lazily, each after the agent has checked it.

    Args:
        only: the agent that rows may name; empty allows any.

    Raises:
        DataError: after the last row, with the rows that the agent refuses or that name another one.
    """
    bad_rows = BadRows()
    for number, (row, times) in enumerate(rows, start=1):
        try:
            if only and named_agent(row) not in ("", only):
                raise UsageError(f"agent_ref names {named_agent(row)!r}, and the only agent here is {only!r}")
            agent.check_row(row)
        except UsageError as error:
            bad_rows.add(number, str(error))
            continue
        yield row, times
    bad_rows.refuse()


def expand(
    rows: Iterable[tuple[Row, int]], options: PlanOptions, *, twins: Twins | None = None
) -> Iterator[tuple[Row, bytes]]:
    """Every rollout of the plan in order `abc -> aabbcc`: its row and the same as a JSON line.

    The number of a task is its place among the rows, or its `_ng_task_index`. Rows with the same index are
    one task with more repeats; identical rows without an index are several tasks. The memory holds only the
    repeats of numbered tasks, and `twins`.

    Args:
        rows: each with how often it counts, by which its repeats are multiplied.
        twins: counts identical rows.
    """
    counts: dict[int, int] = {}
    numbered = False
    for number, (source, times) in enumerate(rows):
        row = _prepared(source, options)
        body = encode(row)
        index = row.get(keys.TASK_INDEX)
        if number == 0:
            numbered = index is not None
        if (index is not None) != numbered:
            raise DataError(
                f"task {number + 1}: some tasks have a {keys.TASK_INDEX} and some don't; give all or none"
            )
        repeats = times * repeats_of(row, options.num_repeats)
        first = 0 if index is None else counts.get(index, 0)
        if first + repeats > MOST_REPEATS:
            got = f"{first + repeats:,}"
            raise UsageError(f"task {number + 1}: a task has at most {MOST_REPEATS:,} rollouts, got {got}")
        if index is None:
            if twins is not None:
                twins.add(number, body)
            for rollout in range(repeats):
                yield _stamped(row, body, number, rollout, options)
            continue
        counts[index] = first + repeats
        for rollout in range(first, first + repeats):
            yield _stamped(row, body, index, rollout, options)


class Twins:
    """Counts tasks that are identical to an earlier one; holds a hash per task."""

    def __init__(self) -> None:
        self._first: dict[int, int] = {}
        self._count = 0
        self._pair = (0, 0)

    def add(self, task: int, body: bytes) -> None:
        """Count a task, by its index and its content."""
        first = self._first.setdefault(hash(body), task)
        if first != task:
            self._count += 1
            if self._count == 1:
                self._pair = first, task

    def note(self) -> str:
        """One line about them; empty when all tasks differ."""
        if not self._count:
            return ""
        first, second = self._pair
        which = f"task {second} is" if self._count == 1 else f"{self._count} tasks are"
        example = f"task {first}" if self._count == 1 else f"an earlier one, for instance {second} to {first}"
        return f"{which} identical to {example}: each counts as a separate task"


def materialize(path: Path, lines: Iterable[bytes], source: str = "the input") -> int:
    """Write the plan to a file, whole or not at all; the number of rows.

    Raises:
        UsageError: the plan is empty.
    """
    count = 0
    with whole_file(path) as file:
        for line in lines:
            file.write(line)
            count += 1
        if not count:
            raise UsageError(f"there are no tasks to run: {source} is empty")
    return count


def _prepared(source: Row, options: PlanOptions) -> Row:
    row = {key: value for key, value in source.items() if key not in _NOT_INPUT}
    if row.get(keys.AGENT_REF) is None:
        row[keys.AGENT_REF] = {"type": "responses_api_agents", "name": options.agent}
    if options.sampling:
        row[keys.PARAMS] = {**row[keys.PARAMS], **options.sampling}
    row.update(options.columns)
    return row


def repeats_of(row: Row, repeats: int | Mapping[str, int]) -> int:
    """The number of repeats of a row.

    Raises:
        UsageError: the mapping has no number for its agent.
    """
    if isinstance(repeats, int):
        return repeats
    name = named_agent(row)
    number = repeats.get(name, repeats.get(OTHERS))
    if number is None:
        hint = did_you_mean(name, repeats)
        raise UsageError(f"num_repeats says nothing of agent {name!r}, nor {OTHERS}.{hint}")
    return number


_NOT_INPUT = keys.RUN_KEYS - {keys.TASK_INDEX, keys.ROLLOUT_ID}
"""Keys of an earlier run, which are dropped from an input row; a task may have the other two itself."""


def _stamped(row: Row, body: bytes, task: int, rollout: int, options: PlanOptions) -> tuple[Row, bytes]:
    stamped = {**row, keys.TASK_INDEX: task, keys.ROLLOUT_INDEX: rollout}
    if options.seed is not None or options.num_repeats_add_seed:
        seed = rollout
        if not options.num_repeats_add_seed:
            seed = zlib.crc32(f"{options.seed}:{task}:{rollout}".encode())
        stamped[keys.PARAMS] = _with_seed(row[keys.PARAMS], task, seed)
        return stamped, encode(stamped) + b"\n"
    if keys.TASK_INDEX in row:
        return stamped, encode(stamped) + b"\n"
    return stamped, body[:-1] + _STAMPS % (task, rollout)


_STAMPS = f',"{keys.TASK_INDEX}":%d,"{keys.ROLLOUT_INDEX}":%d}}\n'.encode()


def _with_seed(params: dict[str, Any], task: int, seed: int) -> dict[str, Any]:
    metadata: Any = params.get("metadata") or {}
    try:
        extra = msgspec.json.decode(metadata.get("extra_body", "{}"), type=dict[str, Any])
    except (msgspec.DecodeError, AttributeError, TypeError) as error:
        raise DataError(f"task {task}: metadata.extra_body must be a JSON object as text: {error}") from None
    text = encode({"seed": seed & 0x7FFFFFFF, **extra}).decode()
    return {**params, "metadata": {**metadata, "extra_body": text}}
