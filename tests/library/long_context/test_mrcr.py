"""The environment mrcr."""

from __future__ import annotations

import pytest

from nemo_gym.library.long_context.mrcr.environment import Mrcr
from nemo_gym.wire.errors import RolloutError
from nemo_gym.wire.items import message_text
from tests.library.playing import play
from tests.library.replaying import check_golden, check_hacks, check_oracle_and_null, check_splits, rows


@pytest.mark.parametrize("level", [0, 1, 2])
def test_the_oracle_earns_all_and_a_refusal_nothing(level: int) -> None:
    check_oracle_and_null(Mrcr({"level": level}), n=10)


def test_golden_cases_and_hacks_earn_what_they_should() -> None:
    check_golden(Mrcr())
    check_hacks(Mrcr())


def test_there_are_a_thousand_distinct_tasks() -> None:
    check_splits(Mrcr())


def test_the_wanted_answer_is_where_the_row_says() -> None:
    for row in rows(Mrcr({"level": 2}), n=5):
        message = row["responses_create_params"]["input"][row["desired_msg_index"]]
        assert row["expected_answer"] == row["random_string_to_prepend"] + message_text(message)
        assert len(row["responses_create_params"]["input"]) == row["total_messages"]


def test_another_like_answer_earns_less() -> None:
    row = rows(Mrcr(), n=1)[0]
    items = row["responses_create_params"]["input"]
    texts = [message_text(item) for item in items if item["role"] == "assistant"]
    answers = [row["random_string_to_prepend"] + text for text in texts]
    assert sorted(play(Mrcr(), row, answer).value == 1.0 for answer in answers) == [False, True]


@pytest.mark.parametrize(
    "change", [{"random_string_to_prepend": ""}, {"expected_answer": ""}, {"expected_answer": " "}]
)
def test_a_row_that_any_answer_fits_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(RolloutError, match=next(iter(change))):
        play(Mrcr(), rows(Mrcr(), n=1)[0] | change, "")
