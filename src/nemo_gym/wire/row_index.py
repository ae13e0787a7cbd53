"""`RowIndex`: finds the row of a (task, repeat) in its file without reading the file again."""

from __future__ import annotations

import math
import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from nemo_gym.wire.errors import DataError
from nemo_gym.wire.row_identity import KeyedLine


class Place(NamedTuple):
    """Where the row of one (task, repeat) is."""

    task: int
    repeat: int
    rank: int
    """The rank with which it was added."""
    offset: int
    """In bytes, from the start of its file."""
    number: int
    """The number of the line, from 1."""
    reward: float | None


class RowIndex:
    """One place for each (task, repeat), in 37 bytes a row.

    Of several rows with the same identity it has the one with the highest rank, and of several with that rank
    the last one of the file. The order in which rows are added doesn't matter.
    """

    def __init__(self, rows: Iterable[tuple[KeyedLine, int]] = ()) -> None:
        self._records = _merge(_record(row, rank) for row, rank in rows)

    def with_rows(self, rows: Iterable[tuple[KeyedLine, int]]) -> RowIndex:
        """An index of more rows, each with its rank from 0 to 255; this one stays as it is.

        Raises:
            DataError: a task index does not fit into 64 bits.
        """
        more = RowIndex(rows)
        more._records = _merge([*_pieces(self._records), *_pieces(more._records)])
        return more

    def find(self, task: int, repeat: int) -> Place | None:
        """The place of a row; None when there is no such row."""
        try:
            key = _KEY.pack(task, repeat)
        except struct.error:
            return None
        at = bisect_left(range(len(self)), key, key=self._key)
        return self[at] if at < len(self) and self._key(at) == key else None

    def __getitem__(self, at: int) -> Place:
        return _place(*_RECORD.unpack_from(self._records, at * _RECORD.size))

    def __len__(self) -> int:
        return len(self._records) // _RECORD.size

    def __iter__(self) -> Iterator[Place]:
        """Every place, in the order of task and repeat."""
        return (_place(*fields) for fields in _RECORD.iter_unpack(self._records))

    def _key(self, at: int) -> bytes:
        start = at * _RECORD.size
        return self._records[start : start + _KEY.size]


_RECORD: Final = struct.Struct(">QIBQQd")
"""Task, repeat, rank, offset, line number, reward. Big-endian, so that bytes sort as the numbers do."""
_KEY: Final = struct.Struct(">QI")


def _merge(records: Iterable[bytes]) -> bytes:
    """The records in order, for each key only the last one."""
    ordered = sorted(records)
    last = [one for one, after in pairwise(ordered) if one[: _KEY.size] != after[: _KEY.size]]
    return b"".join([*last, *ordered[-1:]])


def _record(row: KeyedLine, rank: int) -> bytes:
    stamp = row.stamp
    reward = math.nan if stamp.reward is None else stamp.reward
    try:
        return _RECORD.pack(stamp.task_index, stamp.rollout_index, rank, row.offset, row.number, reward)
    except struct.error:
        raise DataError(f"{row.place}: task index {stamp.task_index} does not fit into 64 bits") from None


def _place(task: int, repeat: int, rank: int, offset: int, number: int, reward: float) -> Place:
    return Place(task, repeat, rank, offset, number, None if math.isnan(reward) else reward)


def _pieces(records: bytes) -> Iterator[bytes]:
    return (records[at : at + _RECORD.size] for at in range(0, len(records), _RECORD.size))
