"""A Sokoban room: its position, its drawing and its moves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

MOVES: Final = ("Up", "Down", "Left", "Right")


@dataclass(frozen=True, slots=True)
class Room:
    """A position of the game. Cells are numbered row by row from the top left; all but `floor` is wall."""

    width: int
    height: int
    floor: frozenset[int]
    targets: frozenset[int]
    boxes: frozenset[int]
    player: int

    @property
    def solved(self) -> bool:
        """Whether every box is on a target."""
        return self.boxes <= self.targets

    def offset(self, move: str) -> int:
        """The number that a move adds to the player's cell."""
        return {"Up": -self.width, "Down": self.width, "Left": -1, "Right": 1}[move]

    def after(self, move: str) -> Room:
        """The position after one of `MOVES`; it is the same when a wall or a second box is in the way."""
        step = self.offset(move)
        there = self.player + step
        if there not in self.floor:
            return self
        if there not in self.boxes:
            return replace(self, player=there)
        beyond = there + step
        if beyond not in self.floor or beyond in self.boxes:
            return self
        return replace(self, player=there, boxes=self.boxes - {there} | {beyond})

    def text(self) -> str:
        """One line for each row, one token of `TOKENS` for each cell."""
        rows = (range(start, start + self.width) for start in range(0, self.width * self.height, self.width))
        return "\n".join(" ".join(self._token(cell) for cell in row) for row in rows)

    def _token(self, cell: int) -> str:
        if cell not in self.floor:
            return "#"
        on_target = cell in self.targets
        if cell == self.player:
            return "S" if on_target else "P"
        if cell in self.boxes:
            return "√" if on_target else "X"
        return "O" if on_target else "_"


TOKENS: Final = {
    "#": "wall",
    "_": "floor",
    "O": "target",
    "√": "box on a target",
    "X": "box",
    "P": "player",
    "S": "player on a target",
}


def read_room(text: str) -> Room:
    """The room of a drawing; the blanks between the tokens of a line are optional.

    Raises:
        ValueError: the drawing is not a room with walls on all sides, 3 to `MAX_SIDE` cells in each
            direction, one player, 1 to `MAX_BOXES` boxes and as many targets, and no box on a target.
    """
    if len(text) > _MAX_TEXT:
        raise ValueError(f"a drawing has at most {_MAX_TEXT} characters")
    lines = ["".join(line.split()) for line in text.strip().splitlines()]
    height, width = len(lines), len(lines[0]) if lines else 0
    if any(len(line) != width for line in lines):
        raise ValueError("its lines differ in length")
    if not (3 <= width <= MAX_SIDE and 3 <= height <= MAX_SIDE):
        raise ValueError(f"it is {width} by {height}; 3 to {MAX_SIDE} cells each way fit")
    cells = "".join(lines)
    for token in cells:
        if token not in TOKENS:
            raise ValueError(f"unknown token {token!r}; the tokens are {' '.join(TOKENS)}")
    border = lines[0] + lines[-1] + "".join(line[0] + line[-1] for line in lines)
    if border.strip("#"):
        raise ValueError("it is not walled in on all sides")
    players = _where(cells, "PS")
    boxes, targets = _where(cells, "X√"), _where(cells, "O√S")
    if len(players) != 1:
        raise ValueError(f"it needs one player; it has {len(players)}")
    if not 1 <= len(boxes) <= MAX_BOXES:
        raise ValueError(f"it needs 1 to {MAX_BOXES} boxes; it has {len(boxes)}")
    if len(targets) != len(boxes):
        raise ValueError(f"it needs as many targets as boxes; it has {len(targets)} and {len(boxes)}")
    if "√" in cells:
        raise ValueError("a box stands on a target from the start")
    return Room(width, height, _where(cells, "_OX√PS"), targets, boxes, min(players))


MAX_SIDE: Final = 12
MAX_BOXES: Final = 4
_MAX_TEXT: Final = 4 * MAX_SIDE * MAX_SIDE


def _where(cells: str, tokens: str) -> frozenset[int]:
    return frozenset(cell for cell, token in enumerate(cells) if token in tokens)
