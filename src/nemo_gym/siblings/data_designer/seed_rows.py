"""Tasks and rollouts as flat rows that another program can start from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from nemo_gym.environments.build import build_environment
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.task_source import own_tasks
from nemo_gym.runs.store import RunStore
from nemo_gym.siblings.data_designer.column_tasks import trace_of
from nemo_gym.wire import keys
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import message_text
from nemo_gym.wire.jsonl import encode, read_rows
from nemo_gym.wire.params import RequestParams, input_items
from nemo_gym.wire.rollout import Rollout
from nemo_gym.wire.task import Row


def task_seeds(
    path: str, environment: str, *, settings: dict[str, Any], split: str, seed: int, limit: int | None
) -> Iterator[Row]:
    """A row for each task: `gym_task` (all of it, as JSON), `gym_task_id` and `gym_prompt`.

    Args:
        path: a JSONL file; empty for the environment's own tasks.

    Raises:
        UsageError: neither is named, or it can't be read.
    """
    if path:
        return (_task_row(row, f"{Path(path).stem}-{number}") for number, row in read_rows(Path(path)))
    if not environment:
        raise UsageError("gym-tasks: name a `path` or an `environment`")
    kind = build_environment(find_environment(environment), settings)
    rows = own_tasks(kind, split, seed, limit)
    return (_task_row(row, f"{split}-{number}") for number, row in enumerate(rows, 1))


def rollout_seeds(path: str, *, least: float | None, most: float | None) -> Iterator[Row]:
    """A row for each scored rollout of a run: the columns of its task, and `gym_answer`, `gym_trace` (chat
    messages, as JSON), `gym_reward`, `gym_reward_components` (JSON), `gym_reason`, `gym_outcome`,
    `gym_task_index` and `gym_rollout_index`.

    Args:
        least: take rollouts with at least this reward.
        most: take rollouts with at most this reward.

    Raises:
        UsageError: there is no such run.
    """
    for rollout in RunStore(Path(path)).rollouts():
        reward = rollout.reward
        if reward is None or (least is not None and reward < least) or (most is not None and reward > most):
            continue
        yield {**_task_row(rollout.row, f"task-{rollout.task_index}"), **_result(rollout)}


def _result(rollout: Rollout) -> Row:
    reason = rollout.details.get("reason", rollout.row.get("reason"))
    return {
        "gym_answer": "" if rollout.response is None else rollout.response.final_text,
        "gym_trace": _json(trace_of(rollout) or []),
        "gym_reward": rollout.reward,
        "gym_reward_components": _json(dict(rollout.components or {})),
        "gym_reason": reason if isinstance(reason, str) else "",
        "gym_outcome": rollout.outcome,
        "gym_task_index": rollout.task_index,
        "gym_rollout_index": rollout.rollout_index,
    }


def _task_row(row: Row, name: str) -> Row:
    task = {key: value for key, value in row.items() if key not in keys.RUN_KEYS}
    params = cast("RequestParams", task.get(keys.PARAMS) or {})
    items = cast("list[Any]", input_items(params))
    texts = [message_text(item) for item in items if item.get("role") == "user"]
    return {
        "gym_task": _json(task),
        "gym_task_id": str(task.get("task_id") or name),
        "gym_prompt": texts[-1] if texts else "",
    }


def _json(value: Any) -> str:
    return encode(value).decode()
