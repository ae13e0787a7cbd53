"""Programs on generated and given problems: who is paid, and who is not."""

from __future__ import annotations

from typing import Any

import pytest

from nemo_gym.environments.base import Golden
from nemo_gym.library.coding.code_gen.environment import CodeGen, shows_reasoning
from nemo_gym.library.coding.code_gen.problems import FAMILIES
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.task import Row, task_to_row
from tests.library.playing import expected_reward, play, play_golden, play_oracle
from tests.library.replaying import recorded_hacks

GOLDEN = list(CodeGen().golden())
HACKS = recorded_hacks(CodeGen())


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case.name)
def test_a_known_answer_earns_what_it_should(case: Golden) -> None:
    assert play_golden(CodeGen(), case).value == expected_reward(CodeGen(), case)


@pytest.mark.parametrize("hack", HACKS, ids=lambda hack: hack["name"])
def test_a_known_hack_earns_nothing(hack: dict[str, Any]) -> None:
    reward = play(CodeGen({"unit_test_timeout_secs": 3}), hack["task"], hack["output"])
    assert reward.value == {"zero": 0.0, "full": 1.0}[hack["expected"]], reward.details


@pytest.mark.parametrize("level", range(5))
def test_the_reference_programs_pass_and_an_empty_answer_does_not(level: int) -> None:
    environment = CodeGen({"level": level})
    rows: dict[str, Row] = {}
    for task in environment.tasks("test", 0, 40):
        rows.setdefault(task.verifier_metadata.family or "", task_to_row(task))
    assert len(rows) >= len(FAMILIES[level]) - 2
    for row in list(rows.values())[:2]:
        assert play_oracle(environment, row).value == 1.0
        assert play(environment, row, "I don't know.").value == 0.0
        assert len(set(row["verifier_metadata"]["unit_tests"]["outputs"])) > 1


def test_tasks_are_of_many_families_and_distinct() -> None:
    assert sum(map(len, FAMILIES)) >= 30
    for level in range(5):
        environment = CodeGen({"level": level})
        tasks = environment.tasks("train", 1, 60)
        keys = {f"{each.verifier_metadata.family} {each.verifier_metadata.parameters}" for each in tasks}
        assert len(keys) == 60


@pytest.mark.parametrize(
    "tests",
    [
        {"inputs": [], "outputs": []},
        {"inputs": ["1"], "outputs": []},
        {"inputs": ["1"], "outputs": [" \n"]},
        {"inputs": ["1"], "outputs": ["no JSON"], "fn_name": "f"},
        {"inputs": ["1"], "outputs": ["1"], "fn_name": "f; import os"},
    ],
)
def test_a_row_whose_tests_say_nothing_is_refused(tests: dict[str, Any]) -> None:
    with pytest.raises(TaskUnfit):
        play(
            CodeGen(),
            {"responses_create_params": {"input": "x"}, "verifier_metadata": {"unit_tests": tests}},
            "x",
        )


def test_an_answer_that_shows_its_reasoning_earns_the_penalty() -> None:
    environment = CodeGen({"reasoning_format_penalty": -0.5})
    row = GOLDEN[0].task
    assert play(environment, row, "a <think>b</think> <think>c").value == -0.5
    assert not shows_reasoning("<think>a</think>b")


def test_the_columns_say_which_test_failed() -> None:
    details = play(CodeGen(), GOLDEN[0].task, "```python\ndef double(x):\n    return 6\n```").details
    assert details["result"] == [True, -2]
    assert details["metadata"] == {"error_code": -2, "error_message": "Wrong Answer", "test": 1}
    assert details["difficulty"] == "easy"
