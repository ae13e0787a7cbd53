"""Tetris: the model moves falling pieces until a line is full."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator
from typing import Annotated, Any, Final

import msgspec

from nemo_gym import Response, Session, Step, StepEnvironment, Task, ask, generate_tasks
from nemo_gym.environments.base import Config
from nemo_gym.environments.seeded_games import setup_of
from nemo_gym.library.games.tetris.board import MOVES, Board, make_board
from nemo_gym.library.games.tetris.search import shortest_line
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.items import Item, assistant

MAX_MOVES: Final = 100
MOVES_AN_ANSWER: Final = 10
"""The most moves of one answer; further moves are ignored."""
MAX_TEXT: Final = 20_000
"""The characters of an answer that are read."""
MOVE_REWARD: Final = -0.1
LINE_REWARD: Final = 10.0
MAX_LINES: Final = 2
"""The most lines that one piece fills."""

Side = Annotated[int, msgspec.Meta(ge=2, le=8)]
BoxType = Annotated[int, msgspec.Meta(ge=1, le=3)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=MAX_MOVES)]


class TetrisTask(Task):
    """A game, by its pieces and its board."""

    seed: int | str | None = None
    """Decides the pieces. Without a seed, each rollout has its own pieces."""
    dim_x: int | None = None
    dim_y: int | None = None
    box_type: int | None = None
    max_steps: int | None = None
    metadata: dict[str, Any] | None = None
    """May hold all of these fields instead. The settings apply to fields that are in neither place."""


class Tetris(StepEnvironment):
    """Move falling pieces with Left, Right and Down until a line of a small board is full."""

    domain = "games"
    restorable = True
    reward_range = (MAX_MOVES * MOVE_REWARD, MAX_LINES * LINE_REWARD + MOVE_REWARD)
    """From no line after all moves, to two lines after one move."""
    solved_at = 0.0
    """Moves cost less than 10 together, so a game with a cleared line earns 0 or more, and others less."""
    max_steps = MAX_MOVES
    oracle_exception = "a cleared line pays 10 and each move costs 0.1: 9 or 19 is the best of most boards"

    class Config(Config):
        dim_x: Side = 4
        """Width of the board in cells."""
        dim_y: Side = 4
        """Height of the board in cells."""
        box_type: BoxType = 3
        """The pieces: 1 is single cells, 2 adds nothing but pairs (I and -), 3 is I, - and O."""
        max_steps: Limit = MAX_MOVES
        """The most moves of an episode."""

    Task = TetrisTask

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[TetrisTask]:
        return generate_tasks(self, self.make, lambda task: str(task.seed), split=split, seed=seed, n=n)

    def make(self, rng: random.Random) -> TetrisTask:
        """Draw a game in which a line can be cleared."""
        while True:
            number = rng.getrandbits(40)
            settings = self.config
            board = make_board(random.Random(number), settings.dim_x, settings.dim_y, settings.box_type)
            if shortest_line(board):
                return TetrisTask(
                    responses_create_params={**ask(prompt(settings.max_steps))},
                    seed=number,
                    **msgspec.structs.asdict(settings),
                )

    def reset(self, task: TetrisTask, session: Session) -> str:
        setup = setup_of(self, task, Setup)
        rng = session.rng if setup.seed is None else random.Random(setup.seed)
        session.state["board"] = make_board(rng, setup.dim_x, setup.dim_y, setup.box_type)
        session.state["moves_left"] = setup.max_steps
        return view(session)

    def step(self, action: Response, session: Session) -> Step:
        moves = moves_in(action.final_text)
        reward, state = 0.0, session.state
        for move in moves or (None,):
            board: Board = state["board"]
            if move:
                state["board"] = board.after(move)
            state["moves_left"] -= 1
            reward += MOVE_REWARD + LINE_REWARD * (state["board"].lines - board.lines)
            if state["board"].is_over or not state["moves_left"]:
                break
        board = state["board"]
        remark = "" if moves else "There was no move in the answer; that counts as one.\n"
        return Step(
            remark + view(session),
            reward,
            terminated=board.is_over,
            truncated=not board.is_over and not state["moves_left"],
            info={"solved": board.lines > 0, "lines": board.lines},
        )

    def oracle(self, task: TetrisTask, session: Session) -> list[Item] | None:
        """The next move of a shortest way to a line; None when the search finds none."""
        plan: list[str] | None = session.state.get("plan")
        if plan is None:
            plan = session.state["plan"] = shortest_line(session.state["board"]) or []
        return [assistant(f"<action>{plan.pop(0)}</action>")] if plan else None


class Setup(msgspec.Struct):
    """All that is needed to start a game."""

    dim_x: Side
    dim_y: Side
    box_type: BoxType
    max_steps: Limit
    seed: int | str | None = None


def view(session: Session) -> str:
    """The board and the number of remaining moves."""
    board: Board = session.state["board"]
    if board.lines:
        return f"{board.text()}\nA line is cleared."
    if board.is_topped_out:
        return f"{board.text()}\nThe board is full."
    return f"{board.text()}\nMoves left: {session.state['moves_left']}"


def moves_in(text: str) -> list[str]:
    """The first moves of an answer, in order, without those in its reasoning."""
    matches = itertools.islice(MOVE.finditer(strip_reasoning(text)[:MAX_TEXT]), MOVES_AN_ANSWER)
    return [match[1].capitalize() for match in matches]


def prompt(max_moves: int) -> str:
    """The rules."""
    return f"""\
You play Tetris on a small board. Fill a line from left to right: that clears it and ends the game.
The board is drawn with: _ empty, # full, X the falling piece. A part of a new piece may be above the board.
Move with <action>Left</action>, <action>Right</action> or <action>Down</action>. A piece falls only when \
you move it down, and stays where it can't fall on. One answer may hold up to {MOVES_AN_ANSWER} moves; an \
answer without one counts as a move. A piece that stays in the top row ends the game.
Every move costs {-MOVE_REWARD:g}, and a cleared line gives {LINE_REWARD:g}. You have {max_moves} moves."""


MOVE = re.compile(rf"<action>\s{{0,8}}({'|'.join(MOVES)})\s{{0,8}}</action>", re.IGNORECASE)
