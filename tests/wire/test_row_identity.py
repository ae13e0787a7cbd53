"""Rows by their identity, out of files that other programs may have written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.row_identity import Keys, Stamp, keyed_lines

PAIRS = st.sets(st.tuples(st.integers(0, 1 << 40), st.integers(0, 40)), max_size=30)


def line(task: int, repeat: int, **more: object) -> str:
    return json.dumps({"_ng_task_index": task, "_ng_rollout_index": repeat, **more})


def keys_of(pairs: set[tuple[int, int]]) -> Keys:
    keys = Keys()
    for task, repeat in pairs:
        assert keys.add(Stamp(task, repeat))
    return keys


@given(PAIRS, PAIRS)
def test_keys_are_a_set_of_pairs(some: set[tuple[int, int]], others: set[tuple[int, int]]) -> None:
    one, two = keys_of(some), keys_of(others)
    assert list(one) == sorted(some)
    assert (len(one), one.tasks) == (len(some), len({task for task, _ in some}))
    assert list(one.without(two)) == sorted(some - others)
    assert len(one.without(two)) == len(some - others)
    assert one.with_task_of(two) == len({task for task, _ in some} & {task for task, _ in others})
    assert all((Stamp(*pair) in two) == (pair in others) for pair in some)
    assert not any(two.add(Stamp(*pair)) for pair in others)


def test_only_the_first_are_named() -> None:
    assert keys_of({(0, 1)}).named() == "task 0 repeat 1"
    assert keys_of({(task, 0) for task in range(3)}).named(2) == "task 0 repeat 0, task 1 repeat 0, ..."


def test_rows_come_with_their_place_and_a_last_one_without_newline_counts(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(line(0, 0) + "\n\n" + line(1, 0, reward=1.0))
    found = list(keyed_lines(path))
    assert [(row.number, row.name) for row in found] == [(1, "task 0, repeat 0"), (3, "task 1, repeat 0")]
    assert path.read_bytes()[found[1].offset :] == found[1].line


def test_a_torn_last_line_is_left_out_and_any_other_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(line(0, 0) + "\n" + line(1, 0)[:-9])
    assert len(list(keyed_lines(path))) == 1
    path.write_text(line(1, 0)[:-9] + "\n" + line(0, 0) + "\n")
    with pytest.raises(DataError, match=r"rows\.jsonl:1: not a row of a run"):
        list(keyed_lines(path))


@pytest.mark.parametrize("repeat", [-1, 1 << 20, 1 << 70, "0", None])
def test_a_repeat_that_can_t_be_is_refused(tmp_path: Path, repeat: object) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"_ng_task_index": 0, "_ng_rollout_index": repeat}) + "\n")
    with pytest.raises(DataError, match="_ng_rollout_index"):
        list(keyed_lines(path))


@pytest.mark.parametrize(
    ("row", "twice"),
    [
        ('{"_ng_task_index":0,"_ng_rollout_index":0,"reward":0,"reward":1}', "reward"),
        ('{"_ng_task_index":0, "_ng_task_index" : 1,"_ng_rollout_index":0}', "_ng_task_index"),
        ('{"_ng_task_index":0,"_ng_rollout_index":0,"reward":0,"r\\u0065ward":1}', "reward"),
        ('{"_ng_task_index":0,"_ng_rollout_index":0,"a":{"reward":0},"reward":1}', None),
        ('{"_ng_task_index":0,"_ng_rollout_index":0,"a":"\\u001b","b":%s}' % ("9" * 5000), None),
    ],
)
def test_a_key_that_is_there_twice_is_refused(tmp_path: Path, row: str, twice: str | None) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f"{row}\n")
    if twice is None:
        assert len(list(keyed_lines(path))) == 1
        return
    with pytest.raises(
        DataError, match=rf"rows\.jsonl:1: not a row of a run: the key '{twice}' is there twice"
    ):
        list(keyed_lines(path))


def test_a_missing_file_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be read"):
        list(keyed_lines(tmp_path / "none.jsonl"))
