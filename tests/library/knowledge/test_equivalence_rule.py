"""The environment equivalence_rule."""

from __future__ import annotations

from difflib import SequenceMatcher

import pytest

from nemo_gym.library.knowledge.equivalence_rule.environment import EquivalenceRule
from nemo_gym.wire.errors import RolloutError
from tests.library.playing import play, play_oracle
from tests.library.replaying import check_golden, check_hacks, check_oracle_and_null, check_splits, rows


@pytest.mark.parametrize("level", range(5))
def test_the_oracle_earns_all_and_a_refusal_nothing(level: int) -> None:
    check_oracle_and_null(EquivalenceRule({"level": level}))


def test_golden_cases_and_hacks_earn_what_they_should() -> None:
    check_golden(EquivalenceRule())
    check_hacks(EquivalenceRule())


@pytest.mark.parametrize("level", [0, 4])
def test_there_are_a_thousand_distinct_tasks(level: int) -> None:
    check_splits(EquivalenceRule({"level": level}))


def test_similarity_pays_in_part() -> None:
    row = rows(EquivalenceRule(), n=1)[0] | {"expected_answer": "The River Runs"}
    ratio = SequenceMatcher(None, "the river", "the river runs").ratio()
    assert play(EquivalenceRule({"grading_rule": "seq_match"}), row, "the  river").value == pytest.approx(
        ratio
    )
    weighted = play(EquivalenceRule({"grading_rule": "weighted_seq_match"}), row, "the river").value
    prefix = SequenceMatcher(None, "the river", "the river ").ratio()
    assert weighted == pytest.approx(0.85 * ratio + 0.15 * prefix)
    for rule in ("exact", "seq_match", "weighted_seq_match"):
        assert play_oracle(EquivalenceRule({"grading_rule": rule}), row).value == 1.0


def test_a_row_without_a_text_is_refused() -> None:
    with pytest.raises(RolloutError, match="expected_answer is blank"):
        play(EquivalenceRule(), rows(EquivalenceRule(), n=1)[0] | {"expected_answer": " "}, "x")
