"""A small text adventure: the model explores rooms with short commands until it reaches the goal."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Annotated, Final

import msgspec

from nemo_gym import Response, Session, Step, StepEnvironment, Task, ask, blocking, generate_tasks
from nemo_gym.environments.base import Config
from nemo_gym.library.games.text_adventure.world import (
    Position,
    World,
    answer,
    describe,
    make_world,
    read_command,
    shortest_game,
)
from nemo_gym.verifiers.text import last_nonempty_line, last_tagged, strip_reasoning
from nemo_gym.wire.items import Item, assistant

MAX_TURNS: Final = 80
TURNS: Final = (8, 16, 30, 50, 80)
"""The commands of a game at each level."""

Level = Annotated[int, msgspec.Meta(ge=0, le=4)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=MAX_TURNS)]


class TextAdventureTask(Task):
    """A world and its limit."""

    seed: int | str
    """Decides the world."""
    level: Level = 0
    max_turns: Limit | None = None
    """The most commands; None leaves it to the level."""


class TextAdventure(StepEnvironment):
    """Explore a house with short commands: find keys, open chests, and fetch a treasure."""

    domain = "games"
    restorable = True
    max_steps = MAX_TURNS

    class Config(Config):
        level: Level = 0
        """From 2 rooms to 11 rooms with 3 locked doors and 4 chests."""

    Task = TextAdventureTask

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[TextAdventureTask]:
        return generate_tasks(self, self.make, world_text, split=split, seed=seed, n=n)

    def make(self, rng: random.Random) -> TextAdventureTask:
        """Draw a world."""
        level: int = self.config.level
        return TextAdventureTask(
            responses_create_params={**ask(RULES)},
            seed=rng.getrandbits(48),
            level=level,
            max_turns=TURNS[level],
        )

    @blocking
    def reset(self, task: TextAdventureTask, session: Session) -> str:
        world = session.state["world"] = world_of(task)
        session.state["here"] = here = Position(world.start)
        session.state["turns_left"] = task.max_turns or TURNS[task.level]
        wish = f"Your goal: take the {world.treasure}"
        wish += f" and carry it to the {world.goal}." if world.goal else "."
        return f"{wish}\n\n{describe(world, here)}"

    def step(self, action: Response, session: Session) -> Step:
        world: World = session.state["world"]
        here, text = answer(world, session.state["here"], command_in(action.final_text))
        session.state["here"] = here
        session.state["turns_left"] -= 1
        solved, left = here.wins(world), session.state["turns_left"]
        end = "You have reached the goal." if solved else f"Commands left: {left}"
        return Step(
            f"{text}\n{end}",
            float(solved),
            terminated=solved,
            truncated=not solved and not left,
            info={"solved": solved, "commands_left": left},
        )

    def oracle(self, task: TextAdventureTask, session: Session) -> list[Item] | None:
        """The next command of a shortest game."""
        plan: list[str] | None = session.state.get("plan")
        if plan is None:
            plan = shortest_game(session.state["world"], session.state["here"]) or []
            session.state["plan"] = plan
        return [assistant(plan.pop(0))] if plan else None


def world_of(task: TextAdventureTask) -> World:
    """The world of a row."""
    return make_world(random.Random(f"{task.level} {task.seed}"), task.level)


def world_text(task: TextAdventureTask) -> str:
    """What makes a world different from others."""
    world = world_of(task)
    return repr((world.start, world.exits, sorted(map(sorted, world.locks)), world.chests, world.items))


def command_in(text: str) -> str | None:
    """The command of an answer: in its last `<command>` tag, or else its last line."""
    text = strip_reasoning(text)
    tagged = last_tagged(text, "command")
    return read_command(last_nonempty_line(text) if tagged is None else tagged)


RULES: Final = """\
You play a text adventure. Each answer is one command, on its last line:
go north (or east, south, west), take ITEM, open CHEST, unlock north (with the right key), look, inventory.
For example:
go north"""
