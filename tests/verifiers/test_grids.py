"""Grids out of model text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.environments.conformance.hostile import HOSTILE_TEXTS
from nemo_gym.verifiers.grids import MAX_SIDE, grid_text, is_grid, read_grid, read_last_grid

GRIDS = st.integers(1, 6).flatmap(
    lambda width: st.lists(
        st.lists(st.integers(0, 99), min_size=width, max_size=width), min_size=1, max_size=6
    )
)


@given(GRIDS)
def test_a_grid_is_read_back_from_its_text(grid: list[list[int]]) -> None:
    assert is_grid(grid)
    for text in (grid_text(grid), str(grid)):
        assert read_grid(text) == grid
        assert read_last_grid(f"So the result is:\n\n{text}\n") == grid
        assert read_last_grid(f"```\n{text}\n```") == grid
        assert read_last_grid(f"<think>1 2</think>{text}") == grid
    assert read_last_grid(rf"\boxed{{{grid}}}") == grid


@pytest.mark.parametrize(
    ("text", "grid"),
    [
        ("1 2\n3 4\n\nor\n\n5 6\n7 8", [[5, 6], [7, 8]]),
        ("[[1]] and then\n2 3", [[2, 3]]),
        ("2 3\nand so [[1]]", [[1]]),
        ("[1, 2],\n[3, 4]", [[1, 2], [3, 4]]),
        ("| 1 | 2 |\n| 3 | 4 |", [[1, 2], [3, 4]]),
        ("1 2\n3", None),
        ("[[1, 2], [3]]", None),
        ("[[1.5]]", None),
        ("[[-1]]", None),
        ("[[true]]", None),
        ("1 2\n\\boxed{none}", None),
        ("1 2\n\\boxed{", None),
        ("<think>1 2</think>", None),
        ("100 2", None),
        ("no grid", None),
        ("", None),
    ],
)
def test_the_last_grid_counts(text: str, grid: list[list[int]] | None) -> None:
    assert read_last_grid(text) == grid


@pytest.mark.parametrize(
    "value", [None, [], [[]], [[1], [1, 2]], [[True]], [["1"]], [[1.0]], [[100]], [[1]] * (MAX_SIDE + 1), 7]
)
def test_what_is_no_grid(value: object) -> None:
    assert not is_grid(value)


@pytest.mark.parametrize(
    "text",
    [
        *HOSTILE_TEXTS.values(),
        "[" * 100_000,
        "[[1]]" * 100_000,
        "1 " * 500_000,
        "\\boxed{" * 50_000,
        "1\n" * 500_000,
    ],
)
def test_hostile_text_is_read_without_an_error(text: str) -> None:
    assert read_last_grid(text) in (None, [[1]])
