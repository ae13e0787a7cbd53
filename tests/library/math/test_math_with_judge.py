import asyncio
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym import collect
from nemo_gym.environments.base import Golden
from nemo_gym.environments.conformance.check import check_environment
from nemo_gym.environments.conformance.hostile import HOSTILE_TEXTS
from nemo_gym.library.math.math_with_judge.environment import MathWithJudge
from nemo_gym.models.scripted import ScriptedModel
from nemo_gym.verifiers.math.parse import read
from nemo_gym.wire.errors import EnvironmentFault, UsageError
from nemo_gym.wire.params import check_params
from nemo_gym.wire.task import Row
from tests.library.playing import expected_reward, play, play_golden, play_oracle

ENVIRONMENT = MathWithJudge()
SPLITS = {split: list(ENVIRONMENT.tasks(split, 0, None)) for split in ("train", "validation", "example")}
ROWS = [row for rows in SPLITS.values() for row in rows]
EVERY_ROW = pytest.mark.parametrize("row", ROWS, ids=lambda row: row["task_id"])


def test_it_keeps_every_promise_of_an_environment():
    report = asyncio.run(check_environment(MathWithJudge))
    assert [result for result in report.results if not result.passed] == []


@pytest.mark.parametrize("golden", ENVIRONMENT.golden(), ids=lambda golden: golden.name)
def test_known_cases_earn_what_they_should(golden: Golden):
    assert play_golden(ENVIRONMENT, golden).value == expected_reward(ENVIRONMENT, golden)


@EVERY_ROW
def test_every_expected_answer_can_be_read_and_earns_the_full_reward(row: Row):
    assert read(row["expected_answer"])
    assert play_oracle(ENVIRONMENT, row).value == 1.0
    assert check_params(row["responses_create_params"])


@EVERY_ROW
def test_no_formula_of_a_question_is_its_answer(row: Row):
    for formula in re.findall(r"\$([^$]+)\$", row["question"]):
        assert play(ENVIRONMENT, row, rf"\boxed{{{formula}}}").value == 0.0, formula


def test_the_answer_to_another_question_earns_nothing():
    for row, other in zip(ROWS, ROWS[1:] + ROWS[:1], strict=True):
        assert play(ENVIRONMENT, row, rf"\boxed{{{other['expected_answer']}}}").value == 0.0, row["task_id"]


def test_the_splits_share_no_question():
    questions = [row["question"] for row in ROWS]
    assert len(set(questions)) == len(questions)
    assert {split: len(rows) for split, rows in SPLITS.items()} == {
        "train": 60,
        "validation": 20,
        "example": 5,
    }


def test_the_extracted_answer_and_the_score_of_the_library_are_columns():
    row = {"question": "What is 2 + 5?", "expected_answer": "7"}
    right = play(ENVIRONMENT, row, r"It is \boxed{7.0}.")
    assert dict(right.details) == {"library_reward": 1.0, "extracted_answer": "7.0"}
    nothing = play(ENVIRONMENT, row, "I do not know at all.")
    assert dict(nothing.details) == {"library_reward": 0.0, "extracted_answer": None}


@pytest.mark.parametrize("expected", ["$7$", r"\boxed{7}", r"\(7\)", " 7 ", "7"])
def test_wrappers_around_the_expected_answer_are_ignored(expected: str):
    assert play(ENVIRONMENT, {"question": "", "expected_answer": expected}, r"\boxed{7}").value == 1.0


def test_a_row_with_a_blank_expected_answer_is_refused():
    with pytest.raises(EnvironmentFault, match="expected_answer is blank"):
        play(ENVIRONMENT, {"question": "What is 2 + 5?", "expected_answer": " "}, "7")


def test_a_row_without_an_expected_answer_is_refused():
    with pytest.raises(EnvironmentFault, match="expected_answer"):
        play(ENVIRONMENT, {"question": "What is 2 + 5?"}, "7")


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS.keys())
def test_hostile_text_earns_nothing(text: str):
    assert play(ENVIRONMENT, ROWS[0], text).value == 0.0


@given(st.text(max_size=80) | st.text("0123456789\\boxed{}$^_()[],.+-*/ frac", max_size=60))
def test_whatever_is_written_there_is_a_reward(text: str):
    assert play(ENVIRONMENT, ROWS[0], text).value in (0.0, 1.0)


ROW = {"responses_create_params": {"input": "x"}, "question": "What is x?", "expected_answer": "7"}
A, B = "[[A=B]]", "[[A!=B]]"


def judged(texts: list[str], text: str = r"\boxed{8}", settings: dict[str, Any] | None = None) -> list[Row]:
    """The row of one rollout, and the requests that the judge got."""
    requests: list[Row] = []

    def judge(params: Any) -> str:
        requests.append(params)
        return texts[len(requests) - 1]

    async def collected() -> Row:
        environment, models = MathWithJudge(settings), {"judge": ScriptedModel(judge)}
        rollouts = collect(environment, ScriptedModel(lambda _: text), [ROW], models=models)
        (row,) = [rollout.to_row() async for rollout in rollouts]
        return row

    return [asyncio.run(collected()), *requests]


@pytest.mark.parametrize(
    ("texts", "reward", "labels"),
    [
        ([f"Same. {A}", A], 1.0, [A, A]),
        ([A, f"No: {B}"], 0.0, [A, B]),
        ([f"{B} and not {A}"], 0.0, [None]),
        ([f"He wrote {A}. {B}"], 0.0, [None]),
        ([f"<think>{A}?</think>{B}"], 0.0, [B]),
        (["I can't say."], 0.0, [None]),
    ],
)
def test_a_judge_is_asked_in_both_orders_and_must_give_one_label(
    texts: list[str], reward: float, labels: list[str | None]
):
    row, *requests = judged(texts)
    assert (row["reward"], row["library_reward"], row["extracted_answer"]) == (reward, 0.0, "8")
    assert [one["verdict_label"] for one in row["judge_evaluations"]] == labels
    prompts = [request["input"][-1]["content"] for request in requests]
    orders = ["Answer A:\n7\n\nAnswer B:\n8", "Answer A:\n8\n\nAnswer B:\n7"][: len(prompts)]
    assert [order in prompt for order, prompt in zip(orders, prompts, strict=True)] == [True] * len(prompts)


@pytest.mark.parametrize(
    ("text", "settings"), [(r"\boxed{7}", {}), ("", {}), (r"\boxed{8}", {"should_use_judge": False})]
)
def test_the_judge_is_not_asked_where_nothing_depends_on_it(text: str, settings: dict[str, Any]):
    row, *requests = judged([], text, settings)
    assert requests == []
    assert row["reward"] == float("7" in text)
    assert row.get("judge_evaluations", []) == []


def test_the_judge_is_asked_with_the_parameters_of_the_settings():
    settings = {"judge_responses_create_params": {"input": [], "temperature": 0.5}}
    _, request = judged([B], settings=settings)
    assert request["temperature"] == 0.5
    assert request["input"][0]["role"] == "system"


async def test_a_judge_that_is_wanted_must_be_supplied():
    with pytest.raises(UsageError, match="math_with_judge asks the model 'judge', which nobody supplied"):
        await anext(collect(MathWithJudge({"should_use_judge": True}), "random", [ROW]))
