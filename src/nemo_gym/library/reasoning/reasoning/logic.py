"""Families about true and false, and about who is where."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from itertools import permutations, product
from typing import NamedTuple

from nemo_gym.library.reasoning.reasoning.answers import names, number, truth
from nemo_gym.library.reasoning.reasoning.problem import Families, Problem, listing

FAMILIES = Families()

PEOPLE = (
    "Ann", "Bob", "Cara", "Dan", "Eve", "Finn", "Gina", "Hugo", "Iris", "Jack", "Kim", "Leo", "Mia", "Ned",
)  # fmt: skip
PETS = ("cat", "dog", "fish", "horse", "parrot", "rabbit", "snake", "turtle")
DRINKS = ("cocoa", "coffee", "juice", "lemonade", "milk", "tea", "water")


@FAMILIES.add(reply="True or False", measure="operators", read=truth, weight=2)
def boolean(rng: random.Random, level: int) -> Problem:
    """A fully bracketed expression of `and`, `or` and `not` to evaluate."""
    operators = (2, 4, 6, 9, 13)[level]
    text, value = _expression(rng, operators)
    question = f"Is this expression true or false: {text.removeprefix('(').removesuffix(')')}?"
    return Problem(question, str(value), {"hardness": operators})


@FAMILIES.add(reply='their names, or "none"', measure="people", read=names)
def knights_knaves(rng: random.Random, level: int) -> Problem:
    """Knights tell the truth and knaves lie; exactly one choice of knights fits the statements."""
    count = level + 2
    while True:
        people = rng.sample(PEOPLE, count)
        statements = [_statement(rng, speaker, count) for speaker in range(count)]
        fitting = consistent(statements, count)
        if len(fitting) == 1:
            break
    lines = " ".join(f'{people[i]} says: "{statements[i].text(people, i)}"' for i in range(count))
    knights = [name for name, knight in zip(people, fitting[0], strict=True) if knight]
    question = f"Knights always tell the truth and knaves always lie. {lines} Who are the knights?"
    facts = {
        "hardness": count,
        "people": people,
        "statements": [[statement.kind, *statement.about] for statement in statements],
    }
    return Problem(question, ", ".join(knights) or "none", facts)


class Statement(NamedTuple):
    """The words of one person; `about` holds indices of people, or a number of knights."""

    kind: str
    about: tuple[int, ...]

    def holds(self, speaker: int, knights: Sequence[bool]) -> bool:
        """Whether the statement is true when these people are the knights."""
        match self.kind:
            case "knight":
                return knights[self.about[0]]
            case "knave":
                return not knights[self.about[0]]
            case "same":
                return knights[self.about[0]] == knights[self.about[1]]
            case "different":
                return knights[self.about[0]] != knights[self.about[1]]
            case "some_knave":
                return not all(knights[i] for i in self.about)
            case _:
                return sum(knights) == self.about[0]

    def text(self, people: Sequence[str], speaker: int) -> str:
        """The statement in the speaker's words."""
        if self.kind == "exactly":
            return f"The number of knights among us is exactly {self.about[0]}."
        first, *rest = [people[i] for i in sorted(self.about, key=speaker.__eq__)]
        second = "I" if speaker in self.about else "".join(rest)
        match self.kind:
            case "same":
                return f"{first} and {second} are of the same kind."
            case "different":
                return f"{first} and {second} are of different kinds."
            case "some_knave":
                return f"At least one of {first} and {'me' if second == 'I' else second} is a knave."
            case _:
                return f"{first} is a {self.kind}."


def consistent(statements: Sequence[Statement], count: int) -> list[tuple[bool, ...]]:
    """Every choice of knights in which the knights tell the truth and the knaves lie."""
    return [
        knights
        for knights in product((True, False), repeat=count)
        if all(statement.holds(i, knights) == knights[i] for i, statement in enumerate(statements))
    ]


@FAMILIES.add(reply="a number", measure="arrangements before the clues", read=number)
def zebra(rng: random.Random, level: int) -> Problem:
    """Houses in a row with people, pets and drinks; exactly one arrangement fits the clues."""
    houses = (3, 3, 3, 4, 4)[level]
    groups: list[list[str]] = [
        rng.sample(pool, houses) for pool in (PEOPLE, PETS, DRINKS)[: (1, 2, 3, 2, 3)[level]]
    ]
    things = [thing for group in groups for thing in group]
    orders = list(permutations(range(houses)))
    arrangements = [sum(choice, ()) for choice in product(orders, repeat=len(groups))]
    real = arrangements[rng.randrange(len(arrangements))]
    target = rng.randrange(len(things))
    clues: list[Clue] = []
    possible = _true_clues(real, houses, target)
    rng.shuffle(possible)
    for clue in possible:
        if len(arrangements) == 1:
            break
        fitting = [places for places in arrangements if clue.holds(places)]
        if len(fitting) < len(arrangements):
            clues.append(clue)
            arrangements = fitting
    hints = " ".join(clue.text(things) for clue in clues)
    people = f"Houses 1 to {houses} stand in a row from left to right. {_inventory(groups)}"
    question = f"{people} {hints} What is the number of the house {_of(things[target])}?"
    facts = {
        "hardness": math.factorial(houses) ** len(groups),
        "houses": houses,
        "groups": groups,
        "clues": [list(clue) for clue in clues],
        "asked": target,
    }
    return Problem(question, str(real[target] + 1), facts)


class Clue(NamedTuple):
    """A fact about the house of thing `a`; `b` is another thing, or a house counted from 0."""

    kind: str
    a: int
    b: int

    def holds(self, places: Sequence[int]) -> bool:
        """Whether the clue is true when thing i is in house `places[i]`."""
        match self.kind:
            case "at":
                return places[self.a] == self.b
            case "not_at":
                return places[self.a] != self.b
            case "same":
                return places[self.a] == places[self.b]
            case "left":
                return places[self.a] < places[self.b]
            case _:
                return abs(places[self.a] - places[self.b]) == 1

    def text(self, things: Sequence[str]) -> str:
        """The clue in words."""
        house = f"The house {_of(things[self.a])}"
        match self.kind:
            case "at":
                return f"{house} has number {self.b + 1}."
            case "not_at":
                return f"{house} does not have number {self.b + 1}."
            case "same":
                return f"{house} is the house {_of(things[self.b])}."
            case "left":
                return f"{house} is somewhere to the left of the house {_of(things[self.b])}."
            case _:
                return f"{house} is next to the house {_of(things[self.b])}."


def _true_clues(places: Sequence[int], houses: int, target: int) -> list[Clue]:
    things = range(len(places))
    clues = [Clue("at", a, b) for a in things for b in range(houses) if a != target]
    clues += [Clue("not_at", a, b) for a in things for b in range(houses)]
    for a in things:
        for b in things:
            if a // houses < b // houses:
                clues.append(Clue("same", a, b))
            if a != b:
                clues.append(Clue("left", a, b))
            if a < b:
                clues.append(Clue("next", a, b))
    return [clue for clue in clues if clue.holds(places)]


def _inventory(groups: Sequence[Sequence[str]]) -> str:
    verbs = zip(groups, ("lives", "is kept", "is drunk"), strict=False)
    return " ".join(f"In each {verb} one of {listing(sorted(group))}." for group, verb in verbs)


def _of(thing: str) -> str:
    return f"of {thing}" if thing in PEOPLE else f"with the {thing}"


def _statement(rng: random.Random, speaker: int, count: int) -> Statement:
    others = [i for i in range(count) if i != speaker]
    first = rng.choice(others)
    second = rng.choice([i for i in range(count) if i != first])
    makers: tuple[Callable[[], Statement], ...] = (
        lambda: Statement("knight", (first,)),
        lambda: Statement("knave", (first,)),
        lambda: Statement("same", (first, second)),
        lambda: Statement("different", (first, second)),
        lambda: Statement("some_knave", (first, second)),
        lambda: Statement("exactly", (rng.randrange(count + 1),)),
    )
    return rng.choice(makers)()


def _expression(rng: random.Random, operators: int) -> tuple[str, bool]:
    if operators == 0:
        value = rng.random() < 0.5
        return str(value), value
    if rng.random() < 0.3:
        text, value = _expression(rng, operators - 1)
        return f"(not {text})", not value
    left_size = rng.randrange(operators)
    left_text, left = _expression(rng, left_size)
    right_text, right = _expression(rng, operators - 1 - left_size)
    if rng.random() < 0.5:
        return f"({left_text} and {right_text})", left and right
    return f"({left_text} or {right_text})", left or right
