"""The board of Tetris: pieces fall, and full lines are cleared."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

MOVES: Final = ("Left", "Right", "Down")
_SHIFTS: Final = {"Left": (-1, 0), "Right": (1, 0), "Down": (0, 1)}
"""The columns and rows by which each move shifts the piece."""
Cell = tuple[int, int]
"""Column and row of a cell; row 0 is the top, and rows above it are negative."""

PIECES: Final[dict[int, tuple[tuple[Cell, ...], ...]]] = {
    1: (((0, 0),),),
    2: (((0, 0), (0, -1)), ((0, 0), (-1, 0))),
    3: (((0, 0), (0, -1)), ((0, 0), (-1, 0)), ((0, 0), (-1, 0), (0, -1), (-1, -1))),
}
"""The pieces of each kind of game, by their cells: one cell; I and -; I, - and O."""


@dataclass(frozen=True)
class Piece:
    """A piece and the place of its first cell."""

    cells: tuple[Cell, ...]
    x: int
    y: int = 0

    def places(self) -> list[Cell]:
        return [(self.x + dx, self.y + dy) for dx, dy in self.cells]

    def shifted(self, dx: int, dy: int) -> Piece:
        return Piece(self.cells, self.x + dx, self.y + dy)


@dataclass(frozen=True)
class Board:
    """A position: the cells that are full, the piece that falls, and the next pieces."""

    width: int
    height: int
    full: frozenset[Cell]
    piece: Piece
    following: tuple[Piece, ...] = ()
    lines: int = 0
    """How many lines are cleared."""
    is_topped_out: bool = False

    @property
    def is_over(self) -> bool:
        return self.lines > 0 or self.is_topped_out

    def after(self, move: str) -> Board:
        """The board after a move. A piece that can't fall on is set, and the next one comes."""
        piece = self.piece.shifted(*_SHIFTS[move])
        board = self if self._blocks(piece) else replace(self, piece=piece)
        return board._settled() if board._blocks(board.piece.shifted(0, 1)) else board

    def _blocks(self, piece: Piece) -> bool:
        for x, y in piece.places():
            if y >= 0 and (not 0 <= x < self.width or y >= self.height or (x, y) in self.full):
                return True
        return False

    def _settled(self) -> Board:
        full = self.full | {(x, y) for x, y in self.piece.places() if y >= 0}
        rows = [{x for x, row in full if row == y} for y in range(self.height)]
        kept = [row for row in rows if len(row) < self.width]
        lines = self.height - len(kept)
        cells = frozenset((x, y + lines) for y, row in enumerate(kept) for x in row)
        topped_out = bool(kept and lines == 0 and kept[0])
        pieces = self.following or (self.piece,)
        return replace(
            self,
            full=cells,
            piece=pieces[0],
            following=pieces[1:],
            lines=self.lines + lines,
            is_topped_out=topped_out or not self.following,
        )

    def text(self) -> str:
        """The board as rows of tokens."""
        piece: set[Cell] = set() if self.is_over else set(self.piece.places())
        return "\n".join(
            " ".join(
                "X" if (x, y) in piece else "#" if (x, y) in self.full else "_" for x in range(self.width)
            )
            for y in range(self.height)
        )


def make_board(rng: random.Random, width: int, height: int, box_type: int) -> Board:
    """An empty board with as many pieces as it has cells, and one more."""
    pieces = tuple(_pieces(rng, width, width * height + 1, box_type))
    return Board(width, height, frozenset(), pieces[0], pieces[1:])


def _pieces(rng: random.Random, width: int, count: int, box_type: int) -> Iterator[Piece]:
    """Pieces; those that came less often are somewhat more likely."""
    shapes = PIECES[box_type]
    counts = [0] * len(shapes)
    for _ in range(count):
        (kind,) = rng.choices(range(len(shapes)), [5 + max(counts) - one for one in counts])
        counts[kind] += 1
        least = 1 if (-1, 0) in shapes[kind] else 0
        yield Piece(shapes[kind], rng.randint(least, width - 1))
