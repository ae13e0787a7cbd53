"""The environment countdown."""

from __future__ import annotations

import pytest

from nemo_gym.library.reasoning.countdown.environment import Countdown
from nemo_gym.wire.errors import RolloutError
from tests.library.playing import play
from tests.library.replaying import check_golden, check_hacks, check_oracle_and_null, check_splits, rows


@pytest.mark.parametrize("level", range(5))
def test_the_oracle_earns_all_and_a_refusal_nothing(level: int) -> None:
    check_oracle_and_null(Countdown({"level": level}))


def test_golden_cases_and_hacks_earn_what_they_should() -> None:
    check_golden(Countdown())
    check_hacks(Countdown())


@pytest.mark.parametrize("level", [0, 4])
def test_there_are_a_thousand_distinct_tasks(level: int) -> None:
    check_splits(Countdown({"level": level}))


@pytest.mark.parametrize("numbers", [[], [1] * 13, [-1, 2], [10**9]])
def test_a_row_without_usable_numbers_is_refused(numbers: list[int]) -> None:
    row = rows(Countdown(), n=1)[0] | {"numbers": numbers}
    with pytest.raises(RolloutError, match="numbers has"):
        play(Countdown(), row, "Answer: 1")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("Answer: 1 + 3 + 12", "right"),
        ("Answer: 1 * 3 + 12", "wrong_value"),
        ("Answer: 4 + 12", "other_numbers"),
        ("Answer: 1 + 3 +", "malformed"),
        ("It can't be done.", "no_answer"),
    ],
)
def test_the_reason_is_a_column(answer: str, reason: str) -> None:
    row = rows(Countdown(), n=1)[0] | {"numbers": [1, 3, 12], "target": 16}
    assert play(Countdown(), row, answer).details["reason"] == reason
