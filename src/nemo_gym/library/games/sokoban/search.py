"""Shortest solutions of a room, by breadth-first search."""

from __future__ import annotations

from collections import deque

from nemo_gym.library.games.sokoban.room import MOVES, Room


def shortest_solution(room: Room, limit: int = 10_000) -> list[str] | None:
    """The fewest moves that solve the room; None when there are none among the first `limit` positions."""
    came_from: dict[Room, tuple[Room, str]] = {}
    rooms = {room}
    waiting = deque([room])
    while waiting and len(rooms) <= limit:
        here = waiting.popleft()
        if here.solved:
            return _way_to(here, came_from)
        for move in MOVES:
            there = here.after(move)
            if there not in rooms:
                rooms.add(there)
                came_from[there] = here, move
                waiting.append(there)
    return None


def _way_to(room: Room, came_from: dict[Room, tuple[Room, str]]) -> list[str]:
    moves: list[str] = []
    while room in came_from:
        room, move = came_from[room]
        moves.append(move)
    return moves[::-1]
