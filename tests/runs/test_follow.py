"""Rows of files that change while they are followed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from nemo_gym.runs import follow
from nemo_gym.runs.follow import follow_files
from nemo_gym.wire.errors import DataError
from nemo_gym.wire.row_identity import KeyedLine

HANG_S = 60


def line(task: int, **more: object) -> bytes:
    return json.dumps({"_ng_task_index": task, "_ng_rollout_index": 0, **more}).encode() + b"\n"


def append(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)


async def after(rows: AsyncGenerator[KeyedLine | DataError]) -> KeyedLine:
    async with asyncio.timeout(HANG_S):
        row = await anext(rows)
    assert isinstance(row, KeyedLine), row
    return row


async def test_a_torn_line_that_a_resumed_run_cuts_off_is_not_seen(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(line(0) + line(9)[:12])
    rows = follow_files([path], lambda: True, interval=0.001)
    assert (await after(rows)).stamp.task_index == 0
    path.write_bytes(line(0))
    append(path, line(1))
    row = await after(rows)
    assert (row.stamp.task_index, row.number, row.offset) == (1, 2, len(line(0)))
    await rows.aclose()


async def test_after_rows_that_were_taken_back_it_goes_on_at_the_new_end(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(line(0) + line(1) + line(2))
    looks = 0

    def is_written() -> bool:
        nonlocal looks
        looks += 1
        if looks == 3:
            path.write_bytes(line(0))
        if looks == 6:
            append(path, line(3))
        return looks < 10

    async with asyncio.timeout(HANG_S):
        rows = [row async for row in follow_files([path], is_written, interval=0.0)]
    assert [(row.stamp.task_index, row.number) for row in rows if isinstance(row, KeyedLine)] == [
        (0, 1),
        (1, 2),
        (2, 3),
        (3, 2),
    ]


async def test_few_rows_are_held_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "_BATCH", 100)
    path, other = tmp_path / "out.jsonl", tmp_path / "out_failures.jsonl"
    path.write_bytes(b"".join(line(task) for task in range(50)) + b"\n" * 300 + line(50))
    other.write_bytes(line(99))
    held: list[int] = []
    read_some = follow._read_some

    def noted(*arguments: object) -> tuple[list[KeyedLine | DataError], follow.Mark]:
        rows, mark = read_some(*arguments)  # type: ignore[arg-type]
        held.append(len(rows))
        return rows, mark

    monkeypatch.setattr(follow, "_read_some", noted)
    rows = follow_files([path, other], lambda: False, interval=0.001)
    tasks = [row.stamp.task_index async for row in rows if isinstance(row, KeyedLine)]
    assert sorted(tasks) == [*range(51), 99], "rows after blank lines too"
    assert max(held) < 5
