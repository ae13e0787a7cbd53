"""Follows the rows of files to which another process appends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Final

from nemo_gym.wire.errors import DataError
from nemo_gym.wire.jsonl import open_regular
from nemo_gym.wire.row_identity import KeyedLine, Mark, file_lines, read_stamp


async def follow_files(
    paths: Sequence[Path], is_written: Callable[[], bool], *, interval: float
) -> AsyncGenerator[KeyedLine | DataError]:
    """Every row of the files as it comes, and a `DataError` for each line that is not a row.

    A few rows are read at a time, and the next ones when the caller needs them. A last line without its
    newline is read when no process writes to the files any more.

    Args:
        is_written: whether a process still writes to the files; the rows end when none does.
        interval: seconds between two looks at files that have not grown.

    Raises:
        UsageError: a file can't be read.
    """
    marks = dict.fromkeys(paths, Mark())
    while True:
        is_last = not await asyncio.to_thread(is_written)
        has_more = False
        for path in paths:
            rows, mark = await asyncio.to_thread(_read_some, path, marks[path], is_last)
            has_more = has_more or mark != marks[path]
            marks[path] = mark
            for row in rows:
                yield row
        if not has_more:
            if is_last:
                return
            await asyncio.sleep(interval)


def _read_some(path: Path, start: Mark, is_last: bool) -> tuple[list[KeyedLine | DataError], Mark]:
    """The next rows of a file after a mark, and the mark after them."""
    rows: list[KeyedLine | DataError] = []
    if not path.exists():
        return rows, start
    mark = _mark_within(path, start)
    size = 0
    for number, offset, line in file_lines(path, mark):
        is_whole = line.endswith(b"\n")
        if not is_whole and not is_last:
            break
        if not line.isspace():
            try:
                stamp = read_stamp(line, path, number)
            except DataError as error:
                if not is_whole:
                    break
                rows.append(error)
            else:
                rows.append(KeyedLine(stamp, number, offset, line, path))
        mark = Mark(number, offset + len(line))
        size += len(line)
        if size >= _BATCH:
            break
    return rows, mark


def _mark_within(path: Path, mark: Mark) -> Mark:
    """The mark, or where the file has become shorter the end of its last whole line."""
    if path.stat().st_size >= mark.bytes:
        return mark
    lines = end = offset = 0
    with open_regular(path) as file:
        while piece := file.read(_BATCH):
            lines += piece.count(b"\n")
            end = offset + piece.rfind(b"\n") + 1 if b"\n" in piece else end
            offset += len(piece)
    return Mark(lines, end)


_BATCH: Final = 1 << 20
"""Bytes."""
