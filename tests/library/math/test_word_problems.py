"""The environment word_problems."""

from __future__ import annotations

import random

import pytest

from nemo_gym.library.math.word_problems.environment import WordProblems
from nemo_gym.library.math.word_problems.stories import OPENINGS, STEPS, Story
from nemo_gym.wire.errors import RolloutError
from tests.library.playing import play
from tests.library.replaying import check_golden, check_hacks, check_oracle_and_null, check_splits, rows


@pytest.mark.parametrize("level", range(5))
def test_the_oracle_earns_all_and_a_refusal_nothing(level: int) -> None:
    check_oracle_and_null(WordProblems({"level": level}))


def test_golden_cases_and_hacks_earn_what_they_should() -> None:
    check_golden(WordProblems())
    check_hacks(WordProblems())


@pytest.mark.parametrize("level", [0, 4])
def test_there_are_a_thousand_distinct_tasks(level: int) -> None:
    check_splits(WordProblems({"level": level}))


def test_there_are_many_kinds_of_steps_and_each_tells_what_it_does() -> None:
    assert len(OPENINGS) + len(STEPS) >= 25
    for opening in OPENINGS:
        story = Story("Ann", "Bob", "shells", 0, "")
        while not opening(random.Random(1), story, 12):
            pass
        assert story.count >= 1
        assert story.text
    for step in STEPS:
        story = Story("Ann", "Bob", "shells", 120, "")
        rng = random.Random(2)
        assert any(step(rng, story) for _ in range(50))
        assert story.count != 120


@pytest.mark.parametrize(
    ("level", "sentences"), [(0, 3), (4, 12)], ids=["one step", "five steps and another number"]
)
def test_higher_levels_have_longer_stories(level: int, sentences: int) -> None:
    for row in rows(WordProblems({"level": level}), n=30):
        assert row["question"].count(".") <= sentences
        assert (len(row["question"]) > 200) == (level == 4)


def test_a_row_without_an_answer_is_refused() -> None:
    with pytest.raises(RolloutError, match="expected_answer is blank"):
        play(WordProblems(), rows(WordProblems(), n=1)[0] | {"expected_answer": ""}, "1")
