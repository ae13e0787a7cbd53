"""The world of the adventure: its places, what a command changes, and the shortest way to the goal."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field, replace
from typing import Final

DIRECTIONS: Final = {"north": (0, -1), "east": (1, 0), "south": (0, 1), "west": (-1, 0)}
OPPOSITE: Final = {"north": "south", "south": "north", "east": "west", "west": "east"}
MAX_COMMAND: Final = 100
"""The most characters of a command."""


@dataclass(frozen=True)
class World:
    """All that never changes in a game."""

    start: str
    exits: dict[str, dict[str, str]]
    """For each room the directions, and the rooms to which they lead."""
    locks: dict[frozenset[str], str]
    """For the two rooms of a locked door the key that it needs."""
    chests: dict[str, str]
    """The room of each chest. All are closed at first."""
    items: dict[str, str]
    """The room or the chest of each item."""
    treasure: str
    goal: str | None
    """The room to which the treasure must be carried; None where it is enough to take it."""


@dataclass(frozen=True)
class Position:
    """All that commands change."""

    room: str
    carried: frozenset[str] = frozenset()
    opened: frozenset[str] = frozenset()
    unlocked: frozenset[frozenset[str]] = field(default=frozenset())

    def wins(self, world: World) -> bool:
        return world.treasure in self.carried and world.goal in (None, self.room)


def visible_items(world: World, here: Position) -> list[str]:
    """The items that can be taken."""
    places = {here.room} | {chest for chest in here.opened if world.chests[chest] == here.room}
    return [item for item, place in world.items.items() if place in places and item not in here.carried]


def commands(world: World, here: Position) -> dict[str, Position]:
    """Every command that changes something now, and the position after it."""
    following: dict[str, Position] = {}
    for direction, room in world.exits[here.room].items():
        door = frozenset({here.room, room})
        if door not in world.locks or door in here.unlocked:
            following[f"go {direction}"] = replace(here, room=room)
        elif world.locks[door] in here.carried:
            following[f"unlock {direction}"] = replace(here, unlocked=here.unlocked | {door})
    for chest, room in world.chests.items():
        if room == here.room and chest not in here.opened:
            following[f"open {chest}"] = replace(here, opened=here.opened | {chest})
    for item in visible_items(world, here):
        following[f"take {item}"] = replace(here, carried=here.carried | {item})
    return following


def shortest_game(world: World, here: Position) -> list[str] | None:
    """The fewest commands to the goal; None when there are none."""
    needed = {world.treasure, *world.locks.values()}
    before: dict[Position, tuple[Position, str] | None] = {here: None}
    waiting = deque([here])
    while waiting:
        here = waiting.popleft()
        if here.wins(world):
            path: list[str] = []
            while step := before[here]:
                here, command = step
                path.append(command)
            return path[::-1]
        for command, there in commands(world, here).items():
            if there not in before and needed.issuperset(there.carried - here.carried):
                before[there] = here, command
                waiting.append(there)
    return None


def read_command(text: str) -> str | None:
    """A command in its plain form; None for any other text. Articles and a full stop don't count."""
    if len(text) > MAX_COMMAND:
        return None
    words = [word for word in text.lower().strip("`*>. !").split() if word not in _ARTICLES]
    if not words:
        return None
    if len(words) == 1 and words[0] in DIRECTIONS:
        return f"go {words[0]}"
    verb = _VERBS.get(words[0])
    return verb and " ".join([verb, *words[1:]])


def describe(world: World, here: Position) -> str:
    """What the player sees."""
    lines = [f"You are in the {here.room}."]
    for direction, room in world.exits[here.room].items():
        door = frozenset({here.room, room})
        is_locked = door in world.locks and door not in here.unlocked
        state = (
            f"There is a locked door; its lock needs the {world.locks[door]}."
            if is_locked
            else f"The {room}."
        )
        lines.append(f"{direction.capitalize()}: {state}")
    for chest, room in world.chests.items():
        if room == here.room:
            lines.append(f"There is a {chest}, which is {'open' if chest in here.opened else 'closed'}.")
    lines += [f"You see a {item}." for item in visible_items(world, here)]
    lines.append(f"You carry: {', '.join(sorted(here.carried)) or 'nothing'}.")
    return "\n".join(lines)


def answer(world: World, here: Position, command: str | None) -> tuple[Position, str]:
    """The position after a command, and what the game says."""
    if command in ("look", "inventory"):
        return here, describe(world, here)
    if command is None:
        return here, "That is no command."
    there = commands(world, here).get(command)
    if there is None:
        return here, _refusal(world, here, command)
    return there, describe(world, there)


def _refusal(world: World, here: Position, command: str) -> str:
    verb, _, rest = command.partition(" ")
    if verb == "go" and rest in world.exits[here.room]:
        return "The door is locked."
    if verb == "unlock" and rest in world.exits[here.room]:
        return "You can't unlock that."
    return {"go": "There is no way.", "open": "You can't open that."}.get(verb, "That isn't possible here.")


def make_world(rng: random.Random, level: int) -> World:
    """A world in which the goal can be reached."""
    while True:
        world = _draw_world(rng, level)
        game = shortest_game(world, Position(world.start))
        if game is not None and len(game) >= _LEAST[level]:
            return world


def _draw_world(rng: random.Random, level: int) -> World:
    count = _ROOMS[level]
    rooms = rng.sample(_ROOM_NAMES, count)
    places = [(0, 0)]
    exits: dict[str, dict[str, str]] = {rooms[0]: {}}
    while len(places) < count:
        near = rng.randrange(len(places))
        direction, (dx, dy) = rng.choice(list(DIRECTIONS.items()))
        place = places[near][0] + dx, places[near][1] + dy
        if place in places:
            continue
        room = rooms[len(places)]
        exits[rooms[near]][direction] = room
        exits[room] = {OPPOSITE[direction]: rooms[near]}
        places.append(place)
    doors = [frozenset({room, other}) for room, ways in exits.items() for other in ways.values()]
    keys = [f"{colour} key" for colour in rng.sample(_COLOURS, _LOCKS[level])]
    locks = dict(zip(rng.sample(sorted(set(doors), key=sorted), len(keys)), keys, strict=True))
    chests = {f"{kind} chest": rng.choice(rooms) for kind in rng.sample(_KINDS, _CHESTS[level])}
    treasure, *others = rng.sample(_TREASURES, 1 + level)
    items = {item: rng.choice([*rooms[1:], *chests]) for item in [treasure, *others]}
    items |= {key: rng.choice([*rooms, *chests]) for key in keys}
    goal = rooms[0] if level >= 2 else None
    return World(rooms[0], exits, locks, chests, items, treasure, goal)


_ROOMS = (2, 4, 6, 8, 11)
_LOCKS = (0, 0, 1, 2, 3)
_CHESTS = (0, 1, 2, 3, 4)
_LEAST = (2, 3, 5, 9, 13)
"""The fewest commands of a game at each level."""
_ARTICLES = frozenset({"the", "a", "an", "to", "door", "up", "with"})
_VERBS = {
    "go": "go", "walk": "go", "move": "go", "take": "take", "get": "take", "pick": "take", "grab": "take",
    "open": "open", "unlock": "unlock", "look": "look", "inventory": "inventory",
}  # fmt: skip
_ROOM_NAMES = (
    "hall", "kitchen", "library", "cellar", "attic", "garden", "workshop", "chapel", "pantry", "study",
    "bedroom", "stable", "tower", "gallery", "bath", "laundry", "music room", "greenhouse", "vault", "porch",
)  # fmt: skip
_COLOURS = ("red", "blue", "green", "silver", "brass", "black")
_KINDS = ("oak", "iron", "painted", "small", "dusty", "round")
_TREASURES = (
    "lamp",
    "crown",
    "ring",
    "map",
    "violin",
    "compass",
    "statue",
    "book",
    "mirror",
    "coin",
    "sword",
)
