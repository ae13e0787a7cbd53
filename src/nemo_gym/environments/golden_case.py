"""Turns a scored rollout into a golden case, and adds the case to a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from nemo_gym.environments.base import Golden
from nemo_gym.wire import keys
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import Item
from nemo_gym.wire.jsonl import encode, read_rows
from nemo_gym.wire.task import Row


def case_of(
    name: str,
    *,
    row: Row,
    output: Sequence[Item],
    reward: float,
    reward_range: tuple[float, float],
    steps: bool,
    asked_models: object = None,
) -> Golden:
    """The golden case of a row, an output and its reward.

    Args:
        steps: whether the environment has the reset/step form. Its cases hold only the model's answers.
        asked_models: the rollout's column `ng_asked_models`; None when the environment asked no model.

    Raises:
        UsageError: the output has no answer of the model, or an answer of a model that the environment
            asked is missing.
    """
    low, high = reward_range
    kind = "full_reward" if reward == high else "zero_reward" if reward == low else "partial_reward"
    items = [cast("dict[str, Any]", item) for item in output if _is_of_model(item, steps=steps)]
    if not items:
        raise UsageError(f"{name}: the rollout holds no answer of the model")
    return Golden(
        name=name,
        kind=kind,
        task={key: value for key, value in row.items() if key not in keys.NOT_TASK},
        output=items,
        expected_reward=reward if kind == "partial_reward" else None,
        models=_answers(name, asked_models),
    )


def append_case(path: Path, case: Golden) -> None:
    """Add a case to a file of cases; the file is created if it does not exist.

    Raises:
        UsageError: the file has a case of that name, or can't be written.
        DataError: a line of the file is not a JSON object.
    """
    if path.exists() and any(row.get("name") == case.name for _, row in read_rows(path)):
        raise UsageError(f"{path} has a case {case.name!r} already: give another name").about("case")
    try:
        with path.open("a+b") as file:
            if file.tell():
                file.seek(-1, 2)
                missing = b"" if file.read(1) == b"\n" else b"\n"
                file.write(missing)
            file.write(encode(case) + b"\n")
    except OSError as error:
        raise UsageError(f"{path}: can't be written ({error.strerror})") from None


class _Calls(msgspec.Struct):
    calls: int
    failed: int
    answers: list[str]


def _answers(name: str, asked_models: object) -> dict[str, str | list[str]]:
    """The answers of the models that the environment asked, in the form of a golden case."""
    try:
        calls_by_model = msgspec.convert(asked_models or {}, dict[str, _Calls])
    except msgspec.ValidationError as error:
        problem = f"{keys.ASKED_MODELS} does not hold the answers ({error}): run the task again"
        raise UsageError(f"{name}: {problem}") from None
    models: dict[str, str | list[str]] = {}
    for model, calls in calls_by_model.items():
        if calls.failed or not len(calls.answers) == calls.calls > 0:
            raise UsageError(f"{name}: not every call of {model!r} was answered: choose another rollout")
        models[model] = calls.answers[0] if len(set(calls.answers)) == 1 else calls.answers
    return models


def _is_of_model(item: Item, *, steps: bool) -> bool:
    """Whether the item is the model's. A replay creates the items of tools and of the environment again."""
    if item.get("type", "message") == "message":
        return cast("dict[str, Any]", item).get("role") == "assistant"
    return not steps and item["type"] == "function_call"
