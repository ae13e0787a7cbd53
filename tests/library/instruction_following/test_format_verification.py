"""The environment format_verification."""

from __future__ import annotations

from typing import Any

import pytest

from nemo_gym.library.instruction_following.format_verification.environment import FormatVerification
from nemo_gym.wire.errors import RolloutError
from tests.library.playing import play
from tests.library.replaying import check_golden, check_hacks, check_oracle_and_null, check_splits, rows


@pytest.mark.parametrize("level", range(5))
def test_the_oracle_earns_all_and_a_refusal_nothing(level: int) -> None:
    check_oracle_and_null(FormatVerification({"level": level}))


def test_golden_cases_and_hacks_earn_what_they_should() -> None:
    check_golden(FormatVerification())
    check_hacks(FormatVerification())


@pytest.mark.parametrize("level", [0, 4])
def test_there_are_a_thousand_distinct_tasks(level: int) -> None:
    check_splits(FormatVerification({"level": level}))


@pytest.mark.parametrize(
    "verifier",
    [
        {"type": "regex", "verify_regex": []},
        {"type": "regex", "verify_regex": ["(?=a)"]},
        {"type": "regex", "verify_regex": ["("]},
        {"type": "citation", "expected_markers": []},
        {"type": "citation", "expected_markers": ["one"]},
    ],
)
def test_a_row_with_an_unusable_verifier_is_refused(verifier: dict[str, Any]) -> None:
    with pytest.raises(RolloutError, match="verifier"):
        play(FormatVerification(), rows(FormatVerification(), n=1)[0] | {"verifier": verifier}, "text")


def test_both_types_are_drawn() -> None:
    types = {row["verifier"]["type"] for row in rows(FormatVerification({"level": 2}))}

    assert types == {"regex", "citation"}
