"""Sokoban, turn by turn."""

import itertools
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec

from nemo_gym import Response, Session, Step, StepEnvironment, Task, ask
from nemo_gym.environments.base import Config
from nemo_gym.library.games.sokoban.generation import make_room
from nemo_gym.library.games.sokoban.room import MAX_BOXES, MAX_SIDE, MOVES, TOKENS, Room, read_room
from nemo_gym.library.games.sokoban.search import shortest_solution
from nemo_gym.verifiers.text import strip_reasoning
from nemo_gym.wire.errors import TaskUnfit, UsageError
from nemo_gym.wire.items import Item, assistant

MAX_MOVES: Final = 100
MOVES_AN_ANSWER: Final = 10
"""Moves beyond these in one answer are ignored."""
MOVE_REWARD: Final = -0.1
BOX_REWARD: Final = 1.0
"""For a box pushed onto a target; taken back when it is pushed off."""
SOLVED_REWARD: Final = 10.0
SPLITS: Final = ("train", "validation", "example")
DEFAULT_N: Final = 100

Side = Annotated[int, msgspec.Meta(ge=3, le=MAX_SIDE)]
Boxes = Annotated[int, msgspec.Meta(ge=1, le=MAX_BOXES)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=MAX_MOVES)]


class Sokoban(StepEnvironment):
    """Push boxes onto targets in a small walled room, with moves Up, Down, Left and Right."""

    domain = "games"
    reward_range = (MAX_MOVES * MOVE_REWARD, SOLVED_REWARD + MAX_BOXES * (BOX_REWARD + MOVE_REWARD))
    solved_at = (MAX_BOXES - 1) * BOX_REWARD
    """More than any room earns in which a box is missing; a solved one earns less only after 80 moves."""
    """From all moves wasted to the most boxes pushed home by one move each; no room can go beyond."""
    max_steps = MAX_MOVES

    class Config(Config):
        dim_x: Side = 6
        """Width of the room in cells, walls included."""
        dim_y: Side = 6
        """Height of the room in cells, walls included."""
        num_boxes: Boxes = 1
        max_steps: Limit = MAX_MOVES
        """Moves until the episode is cut off."""

    class Task(Task):
        seed: int | str | None = None
        """Settles the room. Without it each rollout has a room of its own."""
        room: str | None = None
        """A drawing of the room, instead of a generated one."""
        dim_x: int | None = None
        dim_y: int | None = None
        num_boxes: int | None = None
        max_steps: int | None = None
        metadata: dict[str, Any] | None = None
        """All of these may also be in here; what nothing is said about is taken from the settings."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Task]:
        """Task i of a split and seed is the same however many are asked for (100 by default).

        Raises:
            UsageError: there is no such split, or the settings leave too little space for the boxes.
        """
        if split not in SPLITS:
            raise UsageError(f"environment {self.name()} has no split {split!r}; it has {', '.join(SPLITS)}")
        try:
            self._setup(self._task(split, seed, 0)).make(random.Random(seed))
        except ValueError as error:
            raise UsageError(f"environment {self.name()}: {error}") from None
        return (self._task(split, seed, i) for i in range(DEFAULT_N if n is None else n))

    def reset(self, task: Task, session: Session) -> str:
        setup = self._setup(task)
        try:
            room = setup.make(session.rng)
        except ValueError as error:
            raise TaskUnfit(f"environment {self.name()}: room: {error}") from None
        game = session.state["game"] = Game(room, setup.max_steps)
        return game.seen()

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
            remark + game.seen(),
            reward,
            terminated=game.room.solved,
            truncated=game.over and not game.room.solved,
            info={"solved": game.room.solved, "moves": game.moves_made},
        )

    def oracle(self, task: Task, session: Session) -> list[Item] | None:
        """The next move of a shortest solution; None when a bounded search does not find one."""
        room: Room = session.state["game"].room
        plan: dict[Room, str] = session.state.setdefault("plan", {})
        if room not in plan:
            here = room
            for move in shortest_solution(room) or ():
                plan[here] = move
                here = here.after(move)
        return [assistant(f"<action>{plan[room]}</action>")] if room in plan else None

    def _setup(self, task: Task) -> "Setup":
        own = {name: value for name, value in msgspec.structs.asdict(task).items() if value is not None}
        settings = {**msgspec.structs.asdict(self.config), **(task.metadata or {}), **own}
        try:
            return msgspec.convert(settings, Setup)
        except msgspec.ValidationError as error:
            raise TaskUnfit(f"task does not fit {self.name()}: {error}") from None

    def _task(self, split: str, seed: int, i: int) -> Task:
        drawn = random.Random(f"{seed}:{split}:{i}").getrandbits(40)
        return self.Task(
            task_id=f"{split}-{seed}-{i}",
            responses_create_params={**ask(prompt(self.config.max_steps))},
            seed=drawn * len(SPLITS) + SPLITS.index(split),
            **msgspec.structs.asdict(self.config),
        )


class Setup(msgspec.Struct):
    """What a row and the settings say about the game, together."""

    dim_x: Side
    dim_y: Side
    num_boxes: Boxes
    max_steps: Limit
    seed: int | str | None = None
    room: str | None = None

    def make(self, rng: random.Random) -> Room:
        """The room; `rng` makes it when there is neither a drawing nor a seed."""
        if self.room is not None:
            return read_room(self.room)
        rng = rng if self.seed is None else random.Random(self.seed)
        return make_room(rng, self.dim_x, self.dim_y, self.num_boxes)


@dataclass(slots=True)
class Game:
    """An episode."""

    room: Room
    max_moves: int
    moves_made: int = 0

    @property
    def over(self) -> bool:
        return self.room.solved or self.moves_made >= self.max_moves

    def play(self, move: str | None) -> float:
        """Make a move, or none, and return its reward."""
        before = len(self.room.boxes & self.room.targets)
        if move:
            self.room = self.room.after(move)
        self.moves_made += 1
        gained = len(self.room.boxes & self.room.targets) - before
        return MOVE_REWARD + BOX_REWARD * gained + (SOLVED_REWARD if self.room.solved else 0.0)

    def seen(self) -> str:
        """The room and what is left of the moves."""
        if self.room.solved:
            return f"{self.room.text()}\nSolved."
        return f"{self.room.text()}\nMoves left: {self.max_moves - self.moves_made}"


def moves_in(text: str) -> list[str]:
    """The first `MOVES_AN_ANSWER` moves of an answer, in order; those in its reasoning don't count."""
    matches = itertools.islice(_MOVE.finditer(strip_reasoning(text)), MOVES_AN_ANSWER)
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


_MOVE = re.compile(rf"<action>\s{{0,8}}({'|'.join(MOVES)})\s{{0,8}}</action>", re.IGNORECASE)
