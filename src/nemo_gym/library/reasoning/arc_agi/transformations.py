"""Families of changes of grids. A family draws its parameters and returns a change."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import chain
from typing import Final

from nemo_gym.verifiers.grids import Grid

Change = Callable[[Grid], Grid]
Family = Callable[[random.Random], Change]


def fixed(change: Change) -> Family:
    """A family of one change."""
    return lambda _: change


def turn(grid: Grid) -> Grid:
    """A quarter turn to the right."""
    return [list(row) for row in zip(*grid[::-1], strict=True)]


def transpose(grid: Grid) -> Grid:
    return [list(row) for row in zip(*grid, strict=True)]


def mirror(grid: Grid) -> Grid:
    return [row[::-1] for row in grid]


def fall(grid: Grid) -> Grid:
    """The cells that are not 0 fall to the lower end of their columns."""
    columns = [sorted(column, key=lambda cell: cell != 0) for column in zip(*grid, strict=True)]
    return transpose(columns)


def frame(rng: random.Random) -> Change:
    colour = rng.randint(1, 9)

    def change(grid: Grid) -> Grid:
        bar = [colour] * (len(grid[0]) + 2)
        return [bar, *([colour, *row, colour] for row in grid), bar[:]]

    return change


def recolour(rng: random.Random) -> Change:
    colours = dict(zip(range(10), [0, *rng.sample(range(1, 10), 9)], strict=True))
    return lambda grid: [[colours[cell] for cell in row] for row in grid]


def replace_one(rng: random.Random) -> Change:
    old, new = rng.sample(range(1, 10), 2)
    return lambda grid: [[new if cell == old else cell for cell in row] for row in grid]


def paint(rng: random.Random) -> Change:
    """Every cell that is not 0 gets one colour."""
    colour = rng.randint(1, 9)
    return lambda grid: [[colour if cell else 0 for cell in row] for row in grid]


def background(rng: random.Random) -> Change:
    colour = rng.randint(1, 9)
    return lambda grid: [[cell or colour for cell in row] for row in grid]


def shift_right(rng: random.Random) -> Change:
    """The columns move to the right and come in again on the left."""
    steps = rng.randint(1, 2)
    return lambda grid: [row[-(steps % len(row)) :] + row[: -(steps % len(row))] for row in grid]


def shift_down(rng: random.Random) -> Change:
    steps = rng.randint(1, 2)
    return lambda grid: grid[-(steps % len(grid)) :] + grid[: -(steps % len(grid))]


def enlarge(rng: random.Random) -> Change:
    factor = rng.randint(2, 3)

    def change(grid: Grid) -> Grid:
        return [[cell for cell in row for _ in range(factor)] for row in grid for _ in range(factor)]

    return change


def tile(rng: random.Random) -> Change:
    down, right = rng.choice([(1, 2), (2, 1), (2, 2), (1, 3), (3, 1)])
    return lambda grid: [row * right for _ in range(down) for row in grid]


def mark_corners(rng: random.Random) -> Change:
    colour = rng.randint(1, 9)

    def change(grid: Grid) -> Grid:
        copy = [row[:] for row in grid]
        for row in (0, -1):
            copy[row][0] = copy[row][-1] = colour
        return copy

    return change


def draw_diagonal(rng: random.Random) -> Change:
    colour = rng.randint(1, 9)

    def change(grid: Grid) -> Grid:
        return [[colour if x == y else cell for x, cell in enumerate(row)] for y, row in enumerate(grid)]

    return change


def extend_cells(grid: Grid) -> Grid:
    """Each cell that is not 0 is continued to the right, up to the next one."""
    result: Grid = []
    for row in grid:
        colour = 0
        result.append([colour := cell or colour for cell in row])
    return result


def crop(grid: Grid) -> Grid:
    """The smallest box with all cells that are not 0."""
    rows = [y for y, row in enumerate(grid) if any(row)]
    columns = [x for x, column in enumerate(zip(*grid, strict=True)) if any(column)]
    if not rows:
        return grid
    return [row[columns[0] : columns[-1] + 1] for row in grid[rows[0] : rows[-1] + 1]]


def most_common(grid: Grid) -> Grid:
    """The whole grid in its most common colour; of several the smallest."""
    cells = list(chain.from_iterable(grid))
    colour = min(set(cells), key=lambda cell: (-cells.count(cell), cell))
    return [[colour] * len(row) for row in grid]


def count_colours(grid: Grid) -> Grid:
    """One row with the colours other than 0, the most common first; of equals the smaller first."""
    cells = [cell for cell in chain.from_iterable(grid) if cell]
    return [sorted(set(cells), key=lambda cell: (-cells.count(cell), cell)) or [0]]


def symmetric_right(grid: Grid) -> Grid:
    return [row + row[::-1] for row in grid]


def symmetric_down(grid: Grid) -> Grid:
    return grid + grid[::-1]


def swap_halves(grid: Grid) -> Grid:
    """The upper half below the lower one; a middle row stays."""
    half = len(grid) // 2
    return grid[len(grid) - half :] + grid[half : len(grid) - half] + grid[:half]


def outline(rng: random.Random) -> Change:
    """The cells above, below and beside those that are not 0 get a colour."""
    colour = rng.randint(1, 9)

    def change(grid: Grid) -> Grid:
        cells = {(y, x) for y, row in enumerate(grid) for x, cell in enumerate(row) if cell}
        near = {(y + dy, x + dx) for y, x in cells for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0))}
        return [
            [cell or colour * ((y, x) in near) for x, cell in enumerate(row)] for y, row in enumerate(grid)
        ]

    return change


def sort_rows(grid: Grid) -> Grid:
    """The rows by the number of their cells that are not 0, in a stable order."""
    return sorted(grid, key=lambda row: sum(map(bool, row)))


FAMILIES: Final[dict[str, Family]] = {
    "mirror": fixed(mirror),
    "flip": fixed(lambda grid: grid[::-1]),
    "paint": paint,
    "background": background,
    "replace_one": replace_one,
    "recolour": recolour,
    "turn": fixed(turn),
    "half_turn": fixed(lambda grid: turn(turn(grid))),
    "left_turn": fixed(lambda grid: turn(turn(turn(grid)))),
    "transpose": fixed(transpose),
    "shift_right": shift_right,
    "shift_down": shift_down,
    "frame": frame,
    "mark_corners": mark_corners,
    "draw_diagonal": draw_diagonal,
    "most_common": fixed(most_common),
    "tile": tile,
    "enlarge": enlarge,
    "symmetric_right": fixed(symmetric_right),
    "symmetric_down": fixed(symmetric_down),
    "swap_halves": fixed(swap_halves),
    "fall": fixed(fall),
    "sort_rows": fixed(sort_rows),
    "extend_cells": fixed(extend_cells),
    "outline": outline,
    "crop": fixed(crop),
    "count_colours": fixed(count_colours),
}
"""The families, the easiest first."""
EASY: Final = 5
"""How many of them level 0 has."""


def draw_change(rng: random.Random, level: int) -> tuple[list[str], Change]:
    """A change of a level, and the names of its families. From level 3 on it has two parts."""
    names = list(FAMILIES)[: EASY if level == 0 else len(FAMILIES)]
    chosen = rng.sample(names, 2 if level >= 3 else 1)
    parts = [FAMILIES[name](rng) for name in chosen]

    def change(grid: Grid) -> Grid:
        for part in parts:
            grid = part(grid)
        return grid

    return chosen, change
