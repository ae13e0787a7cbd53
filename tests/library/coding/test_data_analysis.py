"""Data analysis: its cases, hacks, oracle, questions and interpreter."""

from __future__ import annotations

import asyncio
import json

import pytest

from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.library.coding.data_analysis.environment import DataAnalysis, same_answer
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.items import function_call
from nemo_gym.wire.task import task_to_row
from tests.library.playing import expected_reward, play, play_golden, play_oracle
from tests.library.replaying import recorded_hacks
from tests.support.virtual_time import pass_time


def test_golden_cases_earn_what_they_say() -> None:
    for case in DataAnalysis().golden():
        assert play_golden(DataAnalysis(), case).value == expected_reward(DataAnalysis(), case), case.name


def test_hacks_do_not_pay_and_honest_answers_do() -> None:
    for hack in recorded_hacks(DataAnalysis()):
        reward = play(DataAnalysis(), hack["task"], hack["output"])
        assert reward.value == float(hack["expected"] == "full"), (hack["name"], reward.details)


async def outputs(environment: DataAnalysis, row: dict[str, object], *codes: str) -> list[str]:
    link, results = LocalEnvironment(environment), list[str]()
    async with link.session(row) as session:
        for code in codes:
            call = function_call("run_python", json.dumps({"code": code}), call_id="c")
            if "sleep" in code:
                asyncio.get_running_loop().call_later(0.5, pass_time, 20)
            results.append(await link.call(session, call))
    return results


@pytest.mark.parametrize("level", range(5))
def test_the_solution_of_a_task_prints_its_answer_in_the_sandbox(level: int) -> None:
    for task in DataAnalysis({"level": level}).tasks("test", 2, 2):
        row = task_to_row(task)
        (output,) = asyncio.run(outputs(DataAnalysis(), row, row["solution"]))
        assert output.strip() == task.expected_answer


@pytest.mark.parametrize("level", range(5))
def test_the_oracle_earns_all_and_an_empty_policy_nothing(level: int) -> None:
    for task in DataAnalysis({"level": level}).tasks("test", 3, 10):
        task.solution = None
        assert play_oracle(DataAnalysis(), task_to_row(task)).value == 1.0
        assert play(DataAnalysis(), task_to_row(task), "I don't know.").value == 0.0


def test_the_oracle_runs_its_solution_first() -> None:
    task = next(iter(DataAnalysis({"level": 3}).tasks("test", 3, 1)))
    assert play_oracle(DataAnalysis(), task_to_row(task)).value == 1.0


@pytest.mark.parametrize("level", range(5))
def test_tasks_differ_and_the_prompt_does_not_have_the_answer(level: int) -> None:
    tasks = list(DataAnalysis({"level": level}).tasks("test", 0, 30))
    assert len({(task.question, *task.files.values()) for task in tasks}) == 30
    for task in tasks:
        prompt = json.dumps(task.responses_create_params).replace("\\n", " ").replace(",", " ")
        assert f" {task.expected_answer} " not in prompt


def test_variables_stay_until_the_code_ends_the_interpreter_or_its_time() -> None:
    row = task_to_row(next(iter(DataAnalysis().tasks("test", 0, 1))))
    codes = [
        "x = 20",
        "x + 1",
        "1 / 0",
        "import os; os._exit(3)",
        "x",
        "import time; time.sleep(99)",
        "'y' * 3",
        "print('z' * 10**6)",
        "not = python",
        "\ud800",
        "'\0'",
    ]
    kept, value, error, gone, unknown, late, again, long, syntax, surrogate, nul = asyncio.run(
        outputs(DataAnalysis(), row, *codes)
    )
    assert (kept, value) == ("", "21\n")
    assert "ZeroDivisionError" in error
    assert "ended the interpreter" in gone
    assert "NameError" in unknown
    assert "did not end within 20 seconds" in late
    assert again == "'yyy'\n"
    assert len(long) < 10_000
    assert "SyntaxError" in syntax
    assert surrogate
    assert nul


@pytest.mark.parametrize(
    ("answer", "expected", "right"),
    [
        ("12.35", "12.35", True),
        ("12.354", "12.35", True),
        ("12.36", "12.35", False),
        ("12.4", "12.35", False),
        ("1,234", "1234", True),
        ("1234.0", "1234", True),
        ("1234.4", "1234", False),
        ("-0.5", "-0.5", True),
        ("nan", "1.00", False),
        ("1e3", "1000", False),
        ("North-Tea", "north-tea", True),
        ("north", "north-tea", False),
        ("", "3", False),
        ("9" * 1_000_000, "9", False),
    ],
)
def test_numbers_differ_by_half_of_their_last_decimal_at_most(
    answer: str, expected: str, right: bool
) -> None:
    assert same_answer(answer, expected) is right


def test_a_bad_row_is_refused() -> None:
    row = task_to_row(next(iter(DataAnalysis().tasks("test", 0, 1))))
    for change in (
        {"files": {"../x.csv": ""}},
        {"files": {"a.csv": "x" * (5 << 20)}},
        {"expected_answer": " "},
    ):
        with pytest.raises(TaskUnfit):
            play(DataAnalysis(), {**row, **change}, "x")
