"""A rollout becomes a golden case; the answers of the models that the environment asked go with it."""

from __future__ import annotations

from typing import Any

import pytest

from nemo_gym.environments.golden_case import case_of
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import assistant
from tests.support.earlier_run import COLUMNS

TASK = {"responses_create_params": {"input": "x"}, "expected": 3}


def written(asked_models: object = None) -> Any:
    return case_of(
        "mine",
        row={**TASK, **COLUMNS},
        output=[assistant("a")],
        reward=1.0,
        reward_range=(0.0, 1.0),
        steps=False,
        asked_models=asked_models,
    )


def asked(*answers: str, calls: int | None = None, failed: int = 0) -> dict[str, Any]:
    calls = len(answers) if calls is None else calls
    return {"judge": {"calls": calls, "failed": failed, "seconds": 0.1, "answers": list(answers)}}


def test_the_task_of_a_case_has_nothing_of_the_run() -> None:
    assert written().task == TASK


@pytest.mark.parametrize(
    ("column", "models"),
    [
        (None, {}),
        (asked("yes"), {"judge": "yes"}),
        (asked("yes", "yes"), {"judge": "yes"}),
        (asked("yes", "no"), {"judge": ["yes", "no"]}),
        (asked("", "no"), {"judge": ["", "no"]}),
    ],
)
def test_one_text_stands_for_equal_answers_and_a_list_for_others(column: Any, models: Any) -> None:
    assert written(column).models == models


@pytest.mark.parametrize("column", [asked("yes", "", failed=1), asked("yes", calls=2), asked()])
def test_a_rollout_with_an_unanswered_call_is_no_case(column: Any) -> None:
    with pytest.raises(UsageError, match="mine: not every call of 'judge' was answered: choose another"):
        written(column)


@pytest.mark.parametrize("column", [{"judge": {"calls": 1, "failed": 0}}, {"judge": 3}, [1]])
def test_a_row_that_holds_no_answers_is_one_line(column: Any) -> None:
    with pytest.raises(UsageError, match=r"mine: ng_asked_models does not hold the answers .*: run the task"):
        written(column)
