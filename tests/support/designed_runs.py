"""Runs over tasks of Data Designer, for the tests of what is learnt from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nemo_gym.wire.errors import ModelTimeout
from nemo_gym.wire.items import assistant, user
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward, Rollout

Answers = Sequence[str | None]
"""The answers of a task's rollouts; the right one is "right", and None is a rollout that failed."""


def task_rows(index: int, answers: Answers, **columns: Any) -> list[dict[str, Any]]:
    """The rows of a task's rollouts.

    Args:
        columns: what `import` keeps beside the task.
    """
    rows: list[dict[str, Any]] = []
    for repeat, answer in enumerate(answers):
        row = {
            "_ng_task_index": index,
            "_ng_rollout_index": repeat,
            "responses_create_params": {"input": [user(f"Question {index}?")]},
            "expected_answer": "right",
            "data_designer": {"dataset": "dataset", "record": index, "columns": columns},
        }
        if answer is None:
            rollout = Rollout.failed(row, ModelTimeout("down"))
        else:
            reward = Reward(float(answer == "right"), details={"extracted_answer": answer or None})
            rollout = Rollout.scored(row, Response.of([assistant(answer)]), reward)
        rows.append(rollout.to_row())
    return rows


def write_run(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """The rollouts file and the failures file of a run."""
    scored = [row for row in rows if "reward" in row]
    failed = [row for row in rows if "reward" not in row]
    path.write_bytes(b"".join(encode(row) + b"\n" for row in scored))
    if failed:
        path.with_name(f"{path.stem}_failures.jsonl").write_bytes(
            b"".join(encode(row) + b"\n" for row in failed)
        )
    return path


def topic_run(path: Path, solved: dict[str, int], *, tasks: int = 10, repeats: int = 4) -> Path:
    """A run over tasks of topics.

    Args:
        solved: by topic, how many of ten rollouts solve a task; half of the tasks are easier and half harder,
            unless that is none or all.
    """
    rows: list[dict[str, Any]] = []
    for topic, tenths in solved.items():
        for task in range(tasks):
            shift = 0.0 if tenths in (0, 10) else 0.25 if task % 2 else -0.25
            hits = round(repeats * min(1.0, max(0.0, tenths / 10 + shift)))
            answers = ["right"] * hits + [f"wrong {task} {place}" for place in range(repeats - hits)]
            rows += task_rows(len(rows) // repeats, answers, topic=topic)
    return write_run(path, rows)


def topic_config(
    *more: dict[str, Any], topics: Sequence[str] = ("easy", "middle", "hard"), **parts: Any
) -> dict[str, Any]:
    """A configuration with a category sampler `topic`."""
    topic = {
        "name": "topic",
        "column_type": "sampler",
        "sampler_type": "category",
        "params": {"values": list(topics)},
    }
    return {"data_designer": {"columns": [topic, *more], **parts}, "library_version": "0.9.6"}
