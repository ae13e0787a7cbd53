"""The environment calendar."""

from __future__ import annotations

from typing import Any

import pytest

from nemo_gym.library.instruction_following.calendar.environment import Calendar
from nemo_gym.wire.errors import RolloutError
from tests.library.playing import play
from tests.library.replaying import check_golden, check_hacks, check_oracle_and_null, check_splits, rows


@pytest.mark.parametrize("level", range(5))
def test_the_oracle_earns_all_and_a_refusal_nothing(level: int) -> None:
    check_oracle_and_null(Calendar({"level": level}))


def test_golden_cases_and_hacks_earn_what_they_should() -> None:
    check_golden(Calendar())
    check_hacks(Calendar())


@pytest.mark.parametrize("level", [0, 4])
def test_there_are_a_thousand_distinct_tasks(level: int) -> None:
    check_splits(Calendar({"level": level}))


def test_a_state_with_a_wrong_event_is_refused() -> None:
    row = rows(Calendar(), n=1)[0]
    changes: list[dict[str, Any]] = [
        {"duration": 0},
        {"constraint": "soon"},
        {"min_time": "99am"},
        {"event_id": None},
    ]
    for change in changes:
        state = {"1": row["exp_cal_state"]["1"] | change}
        with pytest.raises(RolloutError, match="exp_cal_state"):
            play(Calendar(), row | {"exp_cal_state": state}, "[]")


def test_constraints_come_later_at_high_levels() -> None:
    texts = [str(row["responses_create_params"]["input"]) for row in rows(Calendar({"level": 4}), n=20)]

    assert any("must be" in text for text in texts)
