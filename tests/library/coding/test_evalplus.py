"""Functions to complete: reference solutions are paid, and known hacks are not."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.environments.base import Golden
from nemo_gym.environments.code_script import encode
from nemo_gym.environments.code_tests import CodeRun
from nemo_gym.library.coding.evalplus.environment import EvalPlus, is_right
from nemo_gym.wire.errors import TaskUnfit, UsageError
from nemo_gym.wire.task import task_to_row
from tests.library.playing import expected_reward, play, play_golden, play_oracle
from tests.library.replaying import recorded_hacks

GOLDEN = list(EvalPlus().golden())
HACKS = recorded_hacks(EvalPlus())
ENVIRONMENT = EvalPlus({"min_time_limit": 10})


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case.name)
def test_a_known_answer_earns_what_it_should(case: Golden) -> None:
    assert play_golden(ENVIRONMENT, case).value == expected_reward(ENVIRONMENT, case)


@pytest.mark.parametrize("hack", HACKS, ids=lambda hack: hack["name"])
def test_a_known_hack_earns_nothing(hack: dict[str, Any]) -> None:
    assert (
        play(ENVIRONMENT, hack["task"], hack["output"]).value == {"zero": 0.0, "full": 1.0}[hack["expected"]]
    )


def test_the_reference_solutions_pass() -> None:
    assert len(ENVIRONMENT.problems) >= 60
    for task in ENVIRONMENT.tasks("test", 0, None):
        row = task_to_row(task)
        assert play_oracle(ENVIRONMENT, row).value == 1.0
        assert play(ENVIRONMENT, row, "I don't know.").value == 0.0


def test_a_row_without_a_problem_is_refused() -> None:
    with pytest.raises(TaskUnfit):
        play(ENVIRONMENT, {**GOLDEN[0].task, "verifier_metadata": {"task_id": "no"}}, "x")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no\.jsonl"):
        _ = EvalPlus({"problems_file": str(tmp_path / "no.jsonl")}).problems


@pytest.mark.parametrize(
    ("value", "expected", "atol", "right"),
    [
        (1.0, 1, 0, True),
        (True, 1, 0, True),
        ([1, 2.0], [1.0, 2], 0, True),
        ([1], (1,), 0, False),
        ({1, 2}, {2, 1}, 0, True),
        ("1", 1, 0, False),
        (0.3, 0.1 + 0.2, 0, True),
        (0.301, 0.3, 0, False),
        (0.301, 0.3, 0.01, True),
        ([0.301, 1], [0.3, 1], 0.01, True),
        ([0.301, 1], [0.3, 1], 0, False),
        ([0.3], [0.3, 0.3], 0.01, False),
        (1e9 + 50, 1e9, 0, True),
        (1e9 + 500, 1e9, 0, False),
        (10**400, 1.0, 0, False),
        (math.nan, math.nan, 0, True),
        (math.inf, 1e308, 0, False),
        (1, 1.0000001, 0, False),
    ],
)
def test_values_are_compared_as_evalplus_does(value: Any, expected: Any, atol: float, right: bool) -> None:
    run = CodeRun("ok", json.dumps(encode(value)))
    assert is_right(run, expected, atol) is right


@pytest.mark.parametrize("output", ["", "[" * 100_000, '["object", 1]', "9" * 5000, "[]", '["set", [[]]]'])
def test_an_output_that_is_no_plain_value_is_wrong(output: str) -> None:
    assert not is_right(CodeRun("ok", output), 1, 0)
