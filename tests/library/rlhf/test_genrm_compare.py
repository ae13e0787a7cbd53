import json
from typing import Any

import pytest

from nemo_gym.library.rlhf.genrm_compare.environment import GenrmCompare, Pair
from tests.library.judged import example_rows, failures_of_check, rows_of, wrong_redteam_lines

ROW = {"responses_create_params": {"input": "Explain tides."}}
PART = {**ROW, "_ng_task_index": 0}
"""With an index a row may be a part of its task, so that any number of repeats is allowed."""
QUALITY = {"good": 5, "fair": 3, "poor": 1}


def judge(blocks: dict[str, str]) -> str:
    first, second = (QUALITY.get(blocks[f"ANSWER {n}"], 2) for n in (1, 2))
    return json.dumps({"score_1": first, "score_2": second, "ranking": 3.5})


def rewards(answers: list[str], settings: dict[str, Any], **options: Any) -> list[Any]:
    rows = rows_of(GenrmCompare(settings), [PART], answers, judge, num_repeats=len(answers), **options)
    return sorted((row["extracted_answer"], row["reward"]) for row in rows if "reward" in row)


def test_it_keeps_every_promise_of_an_environment():
    assert failures_of_check(GenrmCompare) == []


def test_known_hacks_earn_what_they_should():
    assert wrong_redteam_lines(GenrmCompare()) == []


@pytest.mark.parametrize("comparison", ["circular", "all_pairs"])
def test_the_repeats_of_a_task_are_compared_with_one_another(comparison: str):
    settings = {"num_rollouts_per_prompt": 3, "comparison": comparison, "num_judges_per_comparison": 2}
    assert rewards(["poor", "good", "fair"], settings) == [("fair", 3.0), ("good", 5.0), ("poor", 1.0)]


def test_repeats_with_sampling_seeds_of_their_own_are_one_cohort():
    settings = {"num_rollouts_per_prompt": 2, "cohort_timeout": 60}
    assert rewards(["poor", "good"], settings, seed=7) == [("good", 5.0), ("poor", 1.0)]


def test_the_deadline_judges_those_that_are_there():
    settings = {"num_rollouts_per_prompt": 8, "cohort_timeout": 0.2}
    assert rewards(["poor", "good"], settings) == [("good", 5.0), ("poor", 1.0)]


def test_a_lone_answer_is_a_typed_failure():
    (row,) = rows_of(GenrmCompare({"cohort_timeout": 0.05}), [PART], ["good"], judge)
    assert (row["_ng_failure_class"], "reward" in row) == ("judge_failed", False)


def test_scores_that_can_not_be_read_are_no_reward():
    rows = rows_of(GenrmCompare(), [ROW], ["good", "poor"], lambda _: '{"score_1": 9}', num_repeats=2)
    assert [row["_ng_failure_class"] for row in rows] == ["judge_failed"] * 2


def test_tasks_of_its_own_are_compared_with_their_references():
    rows = rows_of(GenrmCompare(), example_rows(GenrmCompare(), 20), ["good"] * 20, judge)
    assert [row["reward"] for row in rows] == [5.0] * 20
    assert len(example_rows(GenrmCompare(), 200)) > 150


def test_every_second_judge_sees_the_other_order():
    environment = GenrmCompare({"comparison": "all_pairs", "num_judges_per_comparison": 2})
    assert environment.pairs(2) == [Pair(0, 1), Pair(1, 0)]
