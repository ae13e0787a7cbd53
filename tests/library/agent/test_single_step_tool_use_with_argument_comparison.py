from __future__ import annotations

from typing import Any

import pytest

from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.library.agent.single_step_tool_use_with_argument_comparison.environment import (
    SingleStepToolUseWithArgumentComparison,
)
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.task import task_to_row
from tests.library.playing import expected_reward, play, play_golden, play_oracle

CASES = list(SingleStepToolUseWithArgumentComparison().golden())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_golden_cases_earn_what_they_say(case: Any) -> None:
    assert play_golden(SingleStepToolUseWithArgumentComparison(), case).value == expected_reward(
        SingleStepToolUseWithArgumentComparison(), case
    )


@pytest.mark.parametrize("level", range(5))
def test_the_oracle_earns_everything_and_silence_nothing(level: int) -> None:
    link = LocalEnvironment(SingleStepToolUseWithArgumentComparison({"level": level}))
    rows = [task_to_row(task) for task in link.environment.tasks("test", 0, 100)]
    assert all(play_oracle(link, row).value == 1.0 for row in rows)
    silent = sum(play(link, row, "I don't know.").value for row in rows)
    assert silent <= 0.05 * len(rows)


@pytest.mark.parametrize("level", range(5))
def test_each_level_has_a_thousand_tasks(level: int) -> None:
    environment = SingleStepToolUseWithArgumentComparison({"level": level})
    total = sum(len(list(environment.tasks(split, 0, n))) for split, n in (("train", 800), ("test", 200)))
    assert total == 1000


@pytest.mark.parametrize(
    ("settings", "value"),
    [
        ({}, 0.0),
        ({"parallel_tool_call_reward_mode": "fractional"}, 0.5),
        ({"parallel_tool_call_reward_mode": "f1"}, 0.5),
    ],
)
def test_the_mode_decides_about_partial_credit(settings: Any, value: float) -> None:
    case = next(case for case in CASES if case.name == "the same call twice")
    environment = SingleStepToolUseWithArgumentComparison({"tool_call_comparator_config": settings})
    assert play_golden(environment, case).value == value


def test_a_row_with_broken_arguments_is_refused() -> None:
    row = {"expected_action": {"type": "function_call", "name": "f", "arguments": "[1]"}}
    with pytest.raises(TaskUnfit, match="expected_action"):
        play(SingleStepToolUseWithArgumentComparison(), row, "x")
