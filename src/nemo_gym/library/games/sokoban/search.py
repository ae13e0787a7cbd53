"""Shortest solutions of a room, by breadth-first search."""

from __future__ import annotations

from collections import deque

from nemo_gym.library.games.sokoban.room import MOVES, Room


def shortest_solution(room: Room, limit: int = 10_000) -> list[str] | None:
    """The fewest moves that solve the room; None when the first `limit` positions hold no solution."""
    paths: dict[Room, tuple[Room, str] | None] = {room: None}
    waiting = deque([room])
    while waiting and len(paths) <= limit:
        here = waiting.popleft()
        if here.solved:
            moves: list[str] = []
            while step := paths[here]:
                here, move = step
                moves.append(move)
            return moves[::-1]
        for move in MOVES:
            there = here.after(move)
            if there not in paths:
                paths[there] = here, move
                waiting.append(there)
    return None
