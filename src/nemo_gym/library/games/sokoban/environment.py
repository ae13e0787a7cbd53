"""Sokoban: the model pushes boxes with a few moves in each answer."""

import itertools
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec

from nemo_gym import Response, Session, Step, StepEnvironment, Task, ask
from nemo_gym.environments.base import Config
from nemo_gym.environments.seeded_games import DEFAULT_N, SPLITS, setup_of, split_seed
from nemo_gym.library.games.sokoban.generation import make_room
from nemo_gym.library.games.sokoban.room import MAX_BOXES, MAX_SIDE, MOVES, TOKENS, Room, read_room
from nemo_gym.library.games.sokoban.search import shortest_solution
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.errors import TaskUnfit, UsageError
from nemo_gym.wire.items import Item, assistant

MAX_MOVES: Final = 100
MOVES_AN_ANSWER: Final = 10
"""The most moves of one answer; further moves are ignored."""
MOVE_REWARD: Final = -0.1
BOX_REWARD: Final = 1.0
"""For a box that is pushed onto a target; it is taken back when the box is pushed off."""
SOLVED_REWARD: Final = 10.0

Side = Annotated[int, msgspec.Meta(ge=3, le=MAX_SIDE)]
Boxes = Annotated[int, msgspec.Meta(ge=1, le=MAX_BOXES)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=MAX_MOVES)]


class Sokoban(StepEnvironment):
    """Push boxes onto targets in a small walled room, with moves Up, Down, Left and Right."""

    domain = "games"
    restorable = True
    oracle_exception = "the top of the range is for a level with the most boxes; most levels have fewer"
    reward_range = (MAX_MOVES * MOVE_REWARD, SOLVED_REWARD + MAX_BOXES * (BOX_REWARD + MOVE_REWARD))
    """From no box on a target after all moves, to the most boxes on targets after one move each."""
    solved_at = (MAX_BOXES - 1) * BOX_REWARD
    """An unsolved room always earns less. A solved room earns less only after more than 80 moves."""
    max_steps = MAX_MOVES

    class Config(Config):
        dim_x: Side = 6
        """Width of the room in cells, walls included."""
        dim_y: Side = 6
        """Height of the room in cells, walls included."""
        num_boxes: Boxes = 1
        max_steps: Limit = MAX_MOVES
        """The most moves of an episode."""

    class Task(Task):
        seed: int | str | None = None
        """Decides the room. Without a seed, each rollout has its own room."""
        room: str | None = None
        """A drawing of the room, in place of a generated room."""
        dim_x: int | None = None
        dim_y: int | None = None
        num_boxes: int | None = None
        max_steps: int | None = None
        metadata: dict[str, Any] | None = None
        """May hold all of these fields instead. The settings apply to fields that are in neither place."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Task]:
        """Task i of a split and seed is the same for every `n` (100 by default).

        Raises:
            UsageError: there is no such split, or the settings leave too little space for the boxes.
        """
        self.check_split(split, SPLITS)
        try:
            setup_of(self, self.task(split, seed, 0), Setup).make(random.Random(seed))
        except ValueError as error:
            raise UsageError(f"environment {self.name()}: {error}") from None
        return (self.task(split, seed, i) for i in range(DEFAULT_N if n is None else n))

    def task(self, split: str, seed: int, i: int) -> Task:
        """Task i of a split."""
        return self.Task(
            task_id=f"{split}-{seed}-{i}",
            responses_create_params={**ask(prompt(self.config.max_steps))},
            seed=split_seed(split, seed, i),
            **msgspec.structs.asdict(self.config),
        )

    def reset(self, task: Task, session: Session) -> str:
        setup = setup_of(self, task, Setup)
        try:
            room = setup.make(session.rng)
        except ValueError as error:
            raise TaskUnfit(f"environment {self.name()}: room: {error}") from None
        game = session.state["game"] = Game(room, setup.max_steps)
        return game.view()

    def step(self, action: Response, session: Session) -> Step:
        game: Game = session.state["game"]
        moves = moves_in(action.final_text)
        reward = 0.0
        for move in moves or (None,):
            reward += game.play(move)
            if game.over:
                break
        remark = "" if moves else "There was no move in the answer; that counts as one.\n"
        return Step(
            remark + game.view(),
            reward,
            terminated=game.room.solved,
            truncated=game.over and not game.room.solved,
            info={"solved": game.room.solved, "moves": game.moves},
        )

    def oracle(self, task: Task, session: Session) -> list[Item] | None:
        """The next move of a shortest solution; None when the search does not find a solution."""
        room: Room = session.state["game"].room
        plan: dict[Room, str] = session.state.setdefault("plan", {})
        if room not in plan:
            here = room
            for move in shortest_solution(room) or ():
                plan[here] = move
                here = here.after(move)
        return [assistant(f"<action>{plan[room]}</action>")] if room in plan else None


class Setup(msgspec.Struct):
    """All that is needed to start a game."""

    dim_x: Side
    dim_y: Side
    num_boxes: Boxes
    max_steps: Limit
    seed: int | str | None = None
    room: str | None = None

    def make(self, rng: random.Random) -> Room:
        """The room of the drawing or the seed, or else a room from `rng`."""
        if self.room is not None:
            return read_room(self.room)
        rng = rng if self.seed is None else random.Random(self.seed)
        return make_room(rng, self.dim_x, self.dim_y, self.num_boxes)


@dataclass(slots=True)
class Game:
    """An episode."""

    room: Room
    max_moves: int
    moves: int = 0
    """How many moves the player has used."""

    @property
    def over(self) -> bool:
        return self.room.solved or self.moves >= self.max_moves

    def play(self, move: str | None) -> float:
        """Make a move and return its reward; None is a move that changes nothing."""
        before = len(self.room.boxes & self.room.targets)
        if move:
            self.room = self.room.after(move)
        self.moves += 1
        gain = len(self.room.boxes & self.room.targets) - before
        return MOVE_REWARD + BOX_REWARD * gain + (SOLVED_REWARD if self.room.solved else 0.0)

    def view(self) -> str:
        """The room and the number of remaining moves."""
        if self.room.solved:
            return f"{self.room.text()}\nSolved."
        return f"{self.room.text()}\nMoves left: {self.max_moves - self.moves}"


def moves_in(text: str) -> list[str]:
    """The first `MOVES_AN_ANSWER` moves of an answer, in order, without those in its reasoning."""
    matches = itertools.islice(MOVE.finditer(strip_reasoning(text)), MOVES_AN_ANSWER)
    return [match[1].capitalize() for match in matches]


def prompt(max_moves: int) -> str:
    """The rules."""
    legend = ", ".join(f"{token} {meaning}" for token, meaning in TOKENS.items())
    return f"""\
You play Sokoban. Push every box onto a target. A box moves when you walk into it and the cell behind it is \
free; boxes can't be pulled, and two can't be pushed at once. A move that is not possible changes nothing.
The room is drawn with: {legend}.
Move with <action>Up</action>, <action>Down</action>, <action>Left</action> or <action>Right</action>. One \
answer may hold up to {MOVES_AN_ANSWER} moves, made in their order; an answer without one counts as a move.
Every move costs {-MOVE_REWARD:g}. A box pushed onto a target gives {BOX_REWARD:g}, one pushed off a target \
takes {BOX_REWARD:g} back, and the solved room gives {SOLVED_REWARD:g}. You have {max_moves} moves."""


MOVE = re.compile(rf"<action>\s{{0,8}}({'|'.join(MOVES)})\s{{0,8}}</action>", re.IGNORECASE)
