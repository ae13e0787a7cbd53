"""The environment ruler."""

from __future__ import annotations

import pytest

from nemo_gym.library.long_context.ruler.environment import Ruler
from nemo_gym.library.long_context.ruler.generation import SUBSETS
from nemo_gym.wire.errors import RolloutError, UsageError
from tests.library.playing import play
from tests.library.replaying import check_golden, check_hacks, check_oracle_and_null, check_splits, rows


@pytest.mark.parametrize("subset", SUBSETS)
def test_the_oracle_earns_all_and_a_refusal_or_a_copy_nothing(subset: str) -> None:
    check_oracle_and_null(Ruler({"subsets": subset}), n=8)
    check_oracle_and_null(Ruler({"subsets": subset, "level": 2}), n=3)


@pytest.mark.parametrize("subset", SUBSETS)
def test_the_text_has_about_the_length_of_the_setting(subset: str) -> None:
    for length in (250, 4000):
        row = rows(Ruler({"subsets": subset, "length": length}), n=1)[0]
        words = len(row["responses_create_params"]["input"][0]["content"].split())
        assert 0.3 * length < words < 2.2 * length + 100
        assert (row["subset"], row["length"]) == (subset, length)


def test_golden_cases_and_hacks_earn_what_they_should() -> None:
    check_golden(Ruler())
    check_hacks(Ruler())


def test_there_are_a_thousand_distinct_tasks() -> None:
    check_splits(Ruler())


def test_the_reward_is_a_column_of_the_subset_too() -> None:
    row = rows(Ruler({"subsets": "vt"}), n=1)[0]
    assert play(Ruler(), row, row["outputs"][0]).details["vt"] == pytest.approx(0.2)


def test_one_right_word_of_many_is_enough_for_a_question_only() -> None:
    row = rows(Ruler(), n=1)[0] | {"outputs": ["Paris", "City of Light"], "distractors": []}
    assert play(Ruler(), row | {"subset": "qa_2"}, "It is Paris.").value == 1.0
    assert play(Ruler(), row | {"subset": "niah_multivalue"}, "It is Paris.").value == 0.5


def test_wrong_settings_and_rows_are_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean 'niah_single_1'"):
        rows(Ruler({"subsets": "niah_singel_1"}))
    with pytest.raises(UsageError, match="name at least one"):
        rows(Ruler({"subsets": []}))
    for outputs in ([], [" "], ["x"] * 1001):
        with pytest.raises(RolloutError, match="outputs"):
            play(Ruler(), rows(Ruler(), n=1)[0] | {"outputs": outputs}, "x")
