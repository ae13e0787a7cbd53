"""The fewest moves that clear a line."""

from __future__ import annotations

from collections import deque

from nemo_gym.library.games.tetris.board import MOVES, Board

State = tuple[frozenset[tuple[int, int]], int, int, int]


def shortest_line(board: Board, limit: int = 60_000) -> list[str] | None:
    """The moves to a cleared line, as few as possible; None when the search ends without one."""
    start = _state(board)
    before: dict[State, tuple[State, str] | None] = {start: None}
    waiting = deque([board])
    while waiting and len(before) < limit:
        board = waiting.popleft()
        here = _state(board)
        for move in MOVES:
            following = board.after(move)
            there = _state(following)
            if following.is_topped_out or there in before:
                continue
            before[there] = here, move
            if following.lines:
                return _path(before, there)
            waiting.append(following)
    return None


def _state(board: Board) -> State:
    return board.full, board.piece.x, board.piece.y, len(board.following) - 1000 * board.lines


def _path(before: dict[State, tuple[State, str] | None], state: State) -> list[str]:
    moves: list[str] = []
    while step := before[state]:
        state, move = step
        moves.append(move)
    return moves[::-1]
