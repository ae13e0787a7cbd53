"""Grids of small whole numbers: reads one out of model text, and compares two."""

from __future__ import annotations

import json
import re
from typing import Final, cast

from nemo_gym.verifiers.opposition import is_opposed
from nemo_gym.verifiers.text import last_box, last_boxes, strip_reasoning

__all__ = ["MAX_SIDE", "Grid", "grid_text", "is_grid", "read_grid", "read_last_grid"]

Grid = list[list[int]]
MAX_SIDE: Final = 64
"""The most rows and the most cells of a row."""
_MAX_TEXT: Final = 20_000
_COMMAND: Final = re.compile(r"\\[A-Za-z]+")


def is_grid(value: object) -> bool:
    """Whether a value is a list of rows of equal length, with whole numbers from 0 to 99."""
    if not isinstance(value, list) or not 1 <= len(rows := cast("list[object]", value)) <= MAX_SIDE:
        return False
    widths: set[int] = set()
    for row in rows:
        if not isinstance(row, list):
            return False
        cells = cast("list[object]", row)
        if not all(type(cell) is int and 0 <= cell <= 99 for cell in cells):
            return False
        widths.add(len(cells))
    return len(widths) == 1 and 1 <= widths.pop() <= MAX_SIDE


def grid_text(grid: Grid) -> str:
    """A grid as lines of numbers with blanks between them."""
    return "\n".join(" ".join(map(str, row)) for row in grid)


def read_grid(text: str) -> Grid | None:
    """A text that is nothing but a grid: JSON lists, or lines of numbers."""
    text = text.strip()
    if len(text) > _MAX_TEXT:
        return None
    if text.startswith("["):
        return _json_grid(text)
    rows = [_row(line) for line in text.splitlines() if line.strip()]
    return _checked(rows)


def read_last_grid(text: str) -> Grid | None:
    r"""The grid of a response: in its last `\boxed{}`, or else its last block of rows or of JSON lists.

    A block of rows is a run of lines of numbers. Blank lines, fences and words end it. Reasoning in
    `<think>` never counts, and a grid that later words take back is none. Only the last 20,000 characters
    are read.
    """
    text = strip_reasoning(text)[-_MAX_TEXT:]
    box = last_box(text)
    if box is None and "\\boxed" in text:
        return None
    outer = next(reversed(last_boxes(text)), box)
    if box and outer and any(map(str.isalnum, _COMMAND.sub("", text[outer.start : box.start]))):
        return None
    if box is None:
        grid, end = _last_list(text) if text.rfind("]]") > _last_row(text) else _last_block(text)
    else:
        grid, end = read_grid(box.content.replace("\\\\", "\n").replace("&", " ")), box.end
    return None if grid is None or is_opposed(text, end, end, str, is_open=True) else grid


def _last_row(text: str) -> int:
    """The place where the last line of numbers starts; -1 when there is none."""
    end = len(text)
    for line in reversed(text.splitlines(keepends=True)):
        end -= len(line)
        if _row(line) is not None:
            return end
    return -1


def _last_list(text: str) -> tuple[Grid | None, int]:
    """The last JSON list of lists, and the place where it ends."""
    end = text.rfind("]]") + 2
    start = text.rfind("[[", 0, end)
    return (None if start < 0 else _json_grid(text[start:end])), end


def _last_block(text: str) -> tuple[Grid | None, int]:
    """The last run of lines of numbers, and the place where it ends."""
    block: list[list[int]] = []
    place = end = len(text)
    for line in reversed(text.splitlines(keepends=True)):
        row = _row(line)
        if (row is None and block) or len(block) > MAX_SIDE:
            break
        if row is not None:
            block.append(row)
            end = end if len(block) > 1 else place
        place -= len(line)
    return _checked(block[::-1]), end


def _row(line: str) -> list[int] | None:
    line = line.strip()
    if not _ROW.fullmatch(line):
        return None
    return [int(cell) for cell in line.strip("[],| ").replace(",", " ").replace("|", " ").split()] or None


def _json_grid(text: str) -> Grid | None:
    if not _JSON_GRID.fullmatch(text):
        return None
    try:
        return _checked(json.loads(text))
    except (ValueError, RecursionError):
        return None


def _checked(rows: object) -> Grid | None:
    return cast("Grid", rows) if is_grid(rows) else None


_ROW = re.compile(r"\[?[0-9 ,|\t]{1,400}\]?,?", re.ASCII)
_JSON_GRID = re.compile(r"\[[0-9\[\],\s]{1,20000}\]", re.ASCII)
