"""Mathematics with code: its cases, hacks, oracle, problems, tool and comparison of results."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.library.math.math_with_code.environment import MathWithCode, same_result
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.items import function_call
from nemo_gym.wire.task import Row
from tests.library.playing import play, play_oracle
from tests.library.replaying import check_golden, check_hacks, check_oracle_and_null, check_splits, rows
from tests.support.virtual_time import pass_time


def test_golden_cases_earn_what_they_say() -> None:
    check_golden(MathWithCode())


def test_hacks_do_not_pay_and_honest_answers_do() -> None:
    check_hacks(MathWithCode())


async def outputs(environment: MathWithCode, row: Row, *codes: str) -> list[dict[str, Any]]:
    link, results = LocalEnvironment(environment), list[dict[str, Any]]()
    async with link.session(row) as session:
        for code in codes:
            call = function_call("execute_python", json.dumps({"code": code}), call_id="c")
            if "sleep" in code:
                asyncio.get_running_loop().call_later(0.5, pass_time, 10)
            results.append(json.loads(await link.call(session, call)))
    return results


@pytest.mark.parametrize("level", range(5))
def test_the_solution_of_a_task_prints_its_answer_in_the_sandbox(level: int) -> None:
    (row,) = rows(MathWithCode({"level": level}), n=1)
    (output,) = asyncio.run(outputs(MathWithCode(), row, row["solution"]))
    assert output == {"success": True, "stdout": f"{row['expected_result']}\n", "stderr": ""}
    assert play_oracle(MathWithCode(), row).value == 1.0


@pytest.mark.parametrize("level", range(5))
def test_the_answer_earns_all_and_an_empty_policy_nothing(level: int) -> None:
    environment = MathWithCode({"level": level})
    for row in rows(environment, n=20):
        assert play(environment, row, f"\\boxed{{{row['expected_result']}}}").value == 1.0
        prompt = row["responses_create_params"]["input"][-1]["content"]
        for text in ("", "I don't know.", prompt):
            assert play(environment, row, text).value == 0.0


def test_the_oracle_earns_all() -> None:
    check_oracle_and_null(MathWithCode(), 2)


@pytest.mark.parametrize("level", range(5))
def test_tasks_differ_and_splits_are_disjoint(level: int) -> None:
    check_splits(MathWithCode({"level": level}))


def test_variables_stay_until_the_code_ends_the_interpreter_or_its_time() -> None:
    (row,) = rows(MathWithCode(), n=1)
    codes = ["x = 20", "x + 1", "1 / 0", "import time; time.sleep(99)", "x"]
    kept, value, error, late, unknown = asyncio.run(outputs(MathWithCode(), row, *codes))
    assert kept == {"success": True, "stdout": "", "stderr": ""}
    assert value == {"success": True, "stdout": "", "stderr": "", "result": "21"}
    assert error["success"] is False
    assert "ZeroDivisionError" in error["error_message"]
    assert "did not end within 10 seconds" in late["error_message"]
    assert "NameError" in unknown["error_message"]


@pytest.mark.parametrize(
    ("answer", "expected", "right"),
    [
        ("1,234", "1234", True),
        ("$1234$", "1234", True),
        ("1234.0", "1234", True),
        ("1234.0000001", "1234", True),
        ("100000000000000000001", "100000000000000000000", False),
        ("0.3333333", "0.333333", True),
        ("0.33333", "0.333333", False),
        ("0", "0.0000001", False),
        ("1e3", "1000", True),
        ("x+1", "x+1", True),
        ("x+1", "1+x", False),
        ("nan", "1", False),
        ("", "1", False),
        ("1" * 1_000_000, "1", False),
        ("1," * 500_000, "1", False),
        ("\ud800\0", "1", False),
    ],
)
def test_results_are_the_same_as_text_or_number(answer: str, expected: str, right: bool) -> None:
    assert same_result(answer, expected) is right


def test_a_row_without_a_result_is_refused() -> None:
    (row,) = rows(MathWithCode(), n=1)
    with pytest.raises(TaskUnfit):
        play(MathWithCode(), {**row, "expected_result": " "}, "x")
