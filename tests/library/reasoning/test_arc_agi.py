"""The environment arc_agi."""

from __future__ import annotations

import random

import pytest

from nemo_gym.library.reasoning.arc_agi.environment import ArcAgi
from nemo_gym.library.reasoning.arc_agi.transformations import FAMILIES
from nemo_gym.verifiers.grids import is_grid
from nemo_gym.wire.errors import RolloutError
from tests.library.playing import play, play_oracle
from tests.library.replaying import check_golden, check_hacks, check_oracle_and_null, check_splits, rows

GRID = [[0, 1, 2], [3, 0, 0], [4, 4, 0]]
RESULTS = {
    "mirror": [[2, 1, 0], [0, 0, 3], [0, 4, 4]],
    "flip": [[4, 4, 0], [3, 0, 0], [0, 1, 2]],
    "turn": [[4, 3, 0], [4, 0, 1], [0, 0, 2]],
    "transpose": [[0, 3, 4], [1, 0, 4], [2, 0, 0]],
    "fall": [[0, 0, 0], [3, 1, 0], [4, 4, 2]],
    "extend_cells": [[0, 1, 2], [3, 3, 3], [4, 4, 4]],
    "sort_rows": [[3, 0, 0], [0, 1, 2], [4, 4, 0]],
    "swap_halves": [[4, 4, 0], [3, 0, 0], [0, 1, 2]],
    "most_common": [[0, 0, 0]] * 3,
    "count_colours": [[4, 1, 2, 3]],
}


@pytest.mark.parametrize("level", range(5))
def test_the_oracle_earns_all_and_a_refusal_nothing(level: int) -> None:
    check_oracle_and_null(ArcAgi({"level": level}), n=12)


def test_golden_cases_and_hacks_earn_what_they_should() -> None:
    check_golden(ArcAgi())
    check_hacks(ArcAgi())


@pytest.mark.parametrize("level", [0, 2])
def test_there_are_a_thousand_distinct_tasks(level: int) -> None:
    check_splits(ArcAgi({"level": level}))


@pytest.mark.parametrize("name", RESULTS)
def test_a_change_does_what_its_name_says(name: str) -> None:
    assert FAMILIES[name](random.Random(0))([row[:] for row in GRID]) == RESULTS[name]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_change_makes_a_grid_and_leaves_its_input_alone(name: str) -> None:
    assert len(FAMILIES) >= 20
    copy = [row[:] for row in GRID]
    assert is_grid(FAMILIES[name](random.Random(1))(copy))
    assert copy == GRID


def test_a_program_is_right_by_what_it_returns() -> None:
    row = rows(ArcAgi({"mode": "inductive"}), n=1)[0]
    assert play_oracle(ArcAgi(), row).value == 1.0
    assert play(ArcAgi(), row, "```python\ndef transform(grid):\n    raise SystemExit\n```").value == 0.0


@pytest.mark.parametrize(
    "change", [{"test_input": []}, {"expected_output": [[1], [1, 2]]}, {"test_input": [[100]]}]
)
def test_a_row_without_grids_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(RolloutError, match=next(iter(change))):
        play(ArcAgi(), rows(ArcAgi(), n=1)[0] | change, "1")
