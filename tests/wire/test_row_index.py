"""One place for each (task, repeat), whatever order its rows come in."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.wire.errors import DataError
from nemo_gym.wire.row_identity import KeyedLine, Stamp
from nemo_gym.wire.row_index import RowIndex

keys = st.tuples(st.integers(0, 3) | st.integers(0, (1 << 64) - 1), st.integers(0, 2))
added = st.lists(st.tuples(keys, st.integers(0, 2), st.none() | st.floats(allow_nan=False)), max_size=20)


def row(key: tuple[int, int], number: int, reward: float | None = None) -> KeyedLine:
    return KeyedLine(Stamp(*key, reward=reward), number, 10 * number, b"{}\n", Path("out.jsonl"))


@given(added, st.integers(0, 20))
def test_the_last_row_of_the_highest_rank_is_found(
    rows: list[tuple[tuple[int, int], int, float | None]], split: int
) -> None:
    best: dict[tuple[int, int], tuple[int, int, float | None]] = {}
    for number, (key, rank, reward) in enumerate(rows, start=1):
        if key not in best or best[key][0] <= rank:
            best[key] = (rank, number, reward)
    lines = [(row(key, number, reward), rank) for number, (key, rank, reward) in enumerate(rows, start=1)]

    index = RowIndex(lines[split:]).with_rows(lines[:split])

    assert len(index) == len(best)
    assert [(place.task, place.repeat) for place in index] == sorted(best)
    for key, (rank, number, reward) in best.items():
        place = index.find(*key)
        assert place is not None
        assert (place.rank, place.number, place.offset, place.reward) == (rank, number, 10 * number, reward)
    assert index.find(4, 7) is None


@pytest.mark.parametrize("key", [(-1, 0), (0, -1), (1 << 64, 0), (0, 1 << 40)])
def test_an_identity_that_no_row_can_have_is_not_there(key: tuple[int, int]) -> None:
    assert RowIndex([(row((0, 0), 1), 0)]).find(*key) is None


def test_a_task_index_beyond_64_bits_is_named_with_its_line() -> None:
    with pytest.raises(DataError, match=r"out\.jsonl:7: task index \d+ does not fit into 64 bits"):
        RowIndex([(row((1 << 64, 0), 7), 0)])
