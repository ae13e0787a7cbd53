"""Generates rooms: it plays backwards from the solution, so that every room has one."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Final

from nemo_gym.library.games.sokoban.room import MOVES, Room


def make_room(rng: random.Random, width: int, height: int, boxes: int) -> Room:
    """A room with a solution and without a box on a target. The sizes include the outer walls.

    The boxes start on the targets and are pulled away at random, so pushing them back is a solution.

    Raises:
        ValueError: there is too little space for the boxes.
    """
    inside = (width - 2) * (height - 2)
    if boxes > inside // CELLS_A_BOX or max(width, height) < MIN_LONGER_SIDE:
        raise ValueError(
            f"{width} by {height} cells are too few (boxes: {boxes}): a room needs {CELLS_A_BOX} cells "
            f"inside its walls for each box and a side of {MIN_LONGER_SIDE} or more"
        )
    for _ in range(_ATTEMPTS):
        solved = _solved_room(rng, width, height, boxes)
        if solved and (room := _play_backwards(rng, solved)):
            return room
    raise ValueError(f"no room of {width} by {height} cells with {boxes} boxes was found")


CELLS_A_BOX: Final = 4
MIN_LONGER_SIDE: Final = 5
_ATTEMPTS = 1000
_PULLS_A_BOX = 24


def _solved_room(rng: random.Random, width: int, height: int, boxes: int) -> Room | None:
    floor = _carve(rng, width, height)
    if len(floor) < 2 * boxes + 2:
        return None
    cells = rng.sample(floor, boxes + 1)
    targets = frozenset(cells[1:])
    return Room(width, height, frozenset(floor), targets, targets, cells[0])


def _carve(rng: random.Random, width: int, height: int) -> list[int]:
    """Connected floor, half to nearly all of the inside, in the order of the cells."""
    inside = {row * width + column for row in range(1, height - 1) for column in range(1, width - 1)}
    size = round(len(inside) * rng.uniform(0.55, 0.95))
    floor = [rng.choice(sorted(inside))]
    border = set[int]()
    while len(floor) < size:
        newest = floor[-1]
        border |= {newest + step for step in (-width, width, -1, 1)}
        border &= inside
        border -= set(floor)
        floor.append(rng.choice(sorted(border)))
    return sorted(floor)


def _play_backwards(rng: random.Random, room: Room) -> Room | None:
    """Pull the boxes around; the result is the position in which they were farthest from the targets."""
    best: Room | None = None
    farthest = 0
    for _ in range(_PULLS_A_BOX * len(room.boxes)):
        pulls = _pulls(room)
        if not pulls:
            break
        room = rng.choice(pulls)
        far = 0 if room.boxes & room.targets else sum(_distance(room, box) for box in room.boxes)
        if far > farthest:
            best, farthest = room, far
    return best and replace(best, player=rng.choice(sorted(_reachable(best))))


def _pulls(room: Room) -> list[Room]:
    """The positions from which one push leads here, wherever the player can walk to here."""
    reachable = _reachable(room)
    rooms: list[Room] = []
    for box in sorted(room.boxes):
        for move in MOVES:
            step = room.offset(move)
            near, far = box + step, box + 2 * step
            if near in reachable and far in reachable:
                rooms.append(replace(room, player=far, boxes=room.boxes - {box} | {near}))
    return rooms


def _reachable(room: Room) -> set[int]:
    """The cells the player can walk to."""
    free = room.floor - room.boxes
    cells = {room.player}
    waiting = [room.player]
    while waiting:
        cell = waiting.pop()
        for move in MOVES:
            there = cell + room.offset(move)
            if there in free and there not in cells:
                cells.add(there)
                waiting.append(there)
    return cells


def _distance(room: Room, box: int) -> int:
    row, column = divmod(box, room.width)
    return min(abs(row - target // room.width) + abs(column - target % room.width) for target in room.targets)
