from __future__ import annotations

from typing import Any

import pytest

from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.library.agent.xlam_fc.environment import XlamFc
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.task import task_to_row
from tests.library.playing import expected_reward, play, play_golden, play_oracle

CASES = list(XlamFc().golden())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_golden_cases_earn_what_they_say(case: Any) -> None:
    assert play_golden(XlamFc(), case).value == expected_reward(XlamFc(), case)


@pytest.mark.parametrize("level", range(5))
def test_the_oracle_earns_everything_and_silence_nothing(level: int) -> None:
    link = LocalEnvironment(XlamFc({"level": level}))
    rows = [task_to_row(task) for task in link.environment.tasks("test", 0, 40)]
    assert all(play_oracle(link, row).value == 1.0 for row in rows)
    assert all(play(link, row, "I don't know.").value == 0.0 for row in rows)


@pytest.mark.parametrize("level", range(5))
def test_each_level_has_a_thousand_tasks(level: int) -> None:
    environment = XlamFc({"level": level})
    total = sum(len(list(environment.tasks(split, 0, n))) for split, n in (("train", 800), ("test", 200)))
    assert total == 1000


def test_arguments_may_be_text() -> None:
    row = {"expected_answers": [{"name": "f", "arguments": '{"x": 1}'}]}
    assert play_oracle(XlamFc(), row).value == 1.0


@pytest.mark.parametrize("answers", [[], [{"name": "f", "arguments": "[1]"}]])
def test_a_row_without_calls_is_refused(answers: Any) -> None:
    with pytest.raises(TaskUnfit, match="expected_answers"):
        play(XlamFc(), {"expected_answers": answers}, "x")
