"""The environment citation_if."""

from __future__ import annotations

from typing import Any

import pytest

from nemo_gym.library.instruction_following.citation_if.environment import CitationIf
from nemo_gym.wire.errors import RolloutError
from tests.library.playing import play
from tests.library.replaying import check_golden, check_hacks, check_oracle_and_null, check_splits, rows


@pytest.mark.parametrize("level", range(5))
def test_the_oracle_earns_all_and_a_refusal_nothing(level: int) -> None:
    check_oracle_and_null(CitationIf({"level": level}))


def test_golden_cases_and_hacks_earn_what_they_should() -> None:
    check_golden(CitationIf())
    check_hacks(CitationIf())


@pytest.mark.parametrize("level", [0, 4])
def test_there_are_a_thousand_distinct_tasks(level: int) -> None:
    check_splits(CitationIf({"level": level}))


@pytest.mark.parametrize("change", [{"gold": []}, {"gold": [9]}, {"gold": [0]}])
def test_a_row_with_gold_that_does_not_exist_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(RolloutError, match="gold"):
        play(CitationIf(), rows(CitationIf(), n=1)[0] | change, "text")


def test_some_tasks_of_higher_levels_forbid_citations() -> None:
    modes = {row.get("mode", "must_cite") for row in rows(CitationIf({"level": 2}), n=50)}

    assert modes == {"must_cite", "no_cite"}
