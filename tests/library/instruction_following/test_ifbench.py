"""The environment of IFBench's instructions."""

from __future__ import annotations

import pytest

from nemo_gym.library.instruction_following.ifbench.environment import Ifbench
from nemo_gym.library.instruction_following.ifbench.kinds import KINDS
from nemo_gym.verifiers.instructions import REGISTRY
from nemo_gym.wire.errors import RolloutError
from tests.library.playing import play
from tests.library.replaying import check_golden, check_hacks, check_oracle_and_null, check_splits, rows


@pytest.mark.parametrize("level", range(5))
def test_the_oracle_follows_and_a_refusal_does_not(level: int) -> None:
    check_oracle_and_null(Ifbench({"level": level}))


def test_golden_cases_and_hacks_earn_what_they_should() -> None:
    check_golden(Ifbench())
    check_hacks(Ifbench())


@pytest.mark.parametrize("level", [0, 4])
def test_there_are_a_thousand_distinct_tasks(level: int) -> None:
    check_splits(Ifbench({"level": level}))


def test_every_kind_of_instruction_is_drawn() -> None:
    ids = {
        id
        for level in (1, 3)
        for row in rows(Ifbench({"level": level}), n=200)
        for id in row["instruction_id_list"]
    }

    assert ids == {kind.id for kind in KINDS} <= set(REGISTRY)


@pytest.mark.parametrize(
    "change", [{"instruction_id_list": ["no:such"]}, {"kwargs": [{"n": 1}]}, {"kwargs": []}]
)
def test_a_row_with_wrong_instructions_is_refused(change: dict[str, object]) -> None:
    row = rows(Ifbench(), n=1)[0] | change

    with pytest.raises(RolloutError, match=r"instruction|kwargs"):
        play(Ifbench(), row, "text")


def test_the_loose_verdict_forgives_an_introduction() -> None:
    row = rows(Ifbench(), n=1)[0] | {"instruction_id_list": ["startend:quotation"], "kwargs": [{}]}
    text = 'Here it is:\n"All of it."'

    strict = play(Ifbench(), row, text)

    assert strict.value == 0
    assert strict.details["reward_loose"] == 1
    assert strict.details["follow_instruction_list_loose"] == [True]
    assert play(Ifbench({"loose": True}), row, text).value == 1
