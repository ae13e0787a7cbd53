"""Draws games of a level: more rounds, and scripts that are harder to read."""

from __future__ import annotations

import random
from typing import Any, Final, Literal, cast

from nemo_gym.library.agent.multi_agent.games import AnyGame, Matrix, Price, Script, Split

Name = Literal["price", "split", "matrix"]
NAMES: Final[tuple[Name, ...]] = ("price", "split", "matrix")
_SCRIPTS: Final[tuple[tuple[Script, ...], ...]] = (
    ("always_b", "alternate"),
    ("always_b", "alternate", "tit_for_tat"),
    ("alternate", "tit_for_tat", "grim"),
    ("tit_for_tat", "grim", "pavlov"),
    ("tit_for_tat", "grim", "pavlov"),
)


def draw_game(rng: random.Random, name: Name, level: int) -> AnyGame:
    """A game of a kind and level."""
    match name:
        case "price":
            return _price(rng, level)
        case "split":
            return _split(rng, level)
        case "matrix":
            return _matrix(rng, level)


def _price(rng: random.Random, level: int) -> Price:
    role = cast("Any", rng.choice(("seller", "buyer")))
    sign = 1 if role == "seller" else -1
    limit, zone = rng.randrange(300, 2000), rng.randrange(20, 200)
    opening = limit - sign * rng.randrange(0, 100)
    return Price(role, (limit, limit + sign * zone), opening, 2 + level)


def _split(rng: random.Random, level: int) -> Split:
    while True:
        counts = cast("Any", tuple(rng.randrange(1, 4 + level // 2) for _ in range(3)))
        values = cast("Any", tuple(tuple(rng.randrange(0, 7) for _ in range(3)) for _ in range(2)))
        game = Split(counts, values, 1, 2 + level)
        game.floor = max(1, game.worth(1, counts) * rng.randrange(3, 6) // 10)
        top = game.worth(1, counts)
        if not all(values[0]) or top < 3 or game.worth(0, game.best_share(game.floor)) < 2:
            continue
        first = game.worth(0, game.best_share(top))
        if first * 2 < game.worth(0, game.best_share(game.floor)):
            return game


def _matrix(rng: random.Random, level: int) -> Matrix:
    while True:
        pairs = cast(
            "Any", {pair: (rng.randrange(11), rng.randrange(11)) for pair in ("AA", "AB", "BA", "BB")}
        )
        game = Matrix(pairs, rng.choice(_SCRIPTS[level]), 3 + level)
        low, high = game.extremes()
        if high - low >= 2 * game.rounds:
            return game
