"""Tasks for the data sets of trainers, which carry each task row as JSON text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from nemo_gym.training.rollouts import Rollouts
from nemo_gym.wire import keys
from nemo_gym.wire.chat import chat_request
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.json_values import content_text
from nemo_gym.wire.jsonl import encode, read_rows
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.task import Row

Message = dict[str, str]


def tasks_with_prompts(
    environment: str,
    *,
    file: Path | str | None = None,
    settings: Mapping[str, Any] | None = None,
    split: str = "train",
    n: int | None = None,
) -> list[tuple[list[Message], str]]:
    """The chat messages and the JSON text of tasks.

    Args:
        file: a JSONL file of tasks or of rollouts, of which each task comes once; None takes the tasks of the
            environment itself.

    Raises:
        UsageError: a task doesn't fit the environment, or there is none.
    """
    with Rollouts(environment, model="random", settings=settings) as rollouts:
        rows = rollouts.own_tasks(split, n) if file is None else list(_rows_of(Path(file)))[:n]
        rollouts.check(rows)
    if not rows:
        raise UsageError(f"{file or environment}: there are no tasks")
    return [(_messages(row), encode(row).decode()) for row in rows]


def row_of(text: Any, where: str) -> Row:
    """The task row of its JSON text.

    Raises:
        UsageError: it is not one; `where` says what carried it.
    """
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, TypeError):
        raise UsageError(f"{where}: expected a task row as JSON text, got {text!r:.80}") from None


def _rows_of(file: Path) -> Iterator[Row]:
    seen: set[int] = set()
    for _, row in read_rows(file):
        index = row.get(keys.TASK_INDEX)
        if index is not None:
            if index in seen:
                continue
            seen.add(index)
        yield {name: value for name, value in row.items() if name not in keys.NOT_TASK}


def _messages(row: Row) -> list[Message]:
    messages = chat_request(cast("RequestParams", row[keys.PARAMS]))["messages"]
    return [{"role": one["role"], "content": content_text(one.get("content"))} for one in messages]
