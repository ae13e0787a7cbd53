"""The environment text_adventure."""

from __future__ import annotations

import random
from typing import Any

import pytest

from nemo_gym.environments.conformance.hostile import HOSTILE_TEXTS
from nemo_gym.library.games.text_adventure.environment import TURNS, TextAdventure
from nemo_gym.library.games.text_adventure.world import (
    Position,
    World,
    answer,
    commands,
    make_world,
    read_command,
    shortest_game,
)
from nemo_gym.wire.errors import RolloutError
from tests.library.episodes import check_recorded, play_episode, total
from tests.library.replaying import rows

HOUSE = World(
    start="hall",
    exits={
        "hall": {"north": "vault", "east": "study"},
        "vault": {"south": "hall"},
        "study": {"west": "hall"},
    },
    locks={frozenset({"hall", "vault"}): "red key"},
    chests={"oak chest": "study"},
    items={"red key": "oak chest", "crown": "vault", "lamp": "hall"},
    treasure="crown",
    goal="hall",
)


@pytest.mark.parametrize("level", range(5))
def test_the_oracle_reaches_the_goal_in_time(level: int) -> None:
    environment = TextAdventure({"level": level})
    for row in rows(environment, n=3 if level > 2 else 12):
        observations, steps = play_episode(environment, row)
        assert (total(steps), steps[-1].terminated) == (1.0, True)
        assert len(steps) <= TURNS[level] / 2 + 4
        assert observations[-1].endswith("You have reached the goal.")


def test_known_cases_and_hacks_earn_what_they_should() -> None:
    assert len(check_recorded(TextAdventure())) >= 9


def test_there_are_a_thousand_distinct_worlds() -> None:
    environment = TextAdventure()
    seeds = {
        row["seed"] for split in ("train", "validation", "test") for row in rows(environment, split, 340)
    }
    assert len(seeds) == 1020


def test_a_key_opens_its_door_and_a_chest_shows_its_contents() -> None:
    path = ["go east", "open oak chest", "take red key", "go west", "unlock north", "go north", "take crown"]
    here = Position("hall")
    for command in path:
        assert command in commands(HOUSE, here)
        assert not here.wins(HOUSE)
        here, _ = answer(HOUSE, here, command)
    assert not here.wins(HOUSE)
    assert commands(HOUSE, here)["go south"].wins(HOUSE)
    assert shortest_game(HOUSE, Position("hall")) == [*path, "go south"]


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("go north", "The door is locked."),
        ("go up", "There is no way."),
        ("unlock north", "You can't unlock that."),
        ("open oak chest", "You can't open that."),
        ("take crown", "That isn't possible here."),
        (None, "That is no command."),
    ],
)
def test_a_command_that_is_not_possible_changes_nothing(command: str | None, text: str) -> None:
    here = Position("hall")
    assert answer(HOUSE, here, command) == (here, text)


def test_a_world_without_a_way_has_no_shortest_game() -> None:
    world = World("hall", {"hall": {}}, {}, {}, {"crown": "nowhere"}, "crown", None)
    assert shortest_game(world, Position("hall")) is None


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("go north", "go north"),
        ("  Go to the NORTH. ", "go north"),
        ("north", "go north"),
        ("> pick up the red key", "take red key"),
        ("**open oak chest**", "open oak chest"),
        ("unlock the north door", "unlock north"),
        ("look", "look"),
        ("don't go north", None),
        ("dance", None),
        ("", None),
        ("go " + "north " * 50, None),
    ],
)
def test_a_command_is_read_in_plain_words(text: str, command: str | None) -> None:
    assert read_command(text) == command


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS.keys())
def test_hostile_text_costs_a_command_and_changes_nothing(text: str) -> None:
    _, (step,) = play_episode(TextAdventure(), {"seed": 7}, [text])
    assert (step.reward, step.terminated) == (0.0, False)


def test_the_rooms_of_a_world_are_joined_both_ways() -> None:
    for seed in range(20):
        world = make_world(random.Random(seed), 2)
        assert all(
            room in world.exits[other].values()
            for room, ways in world.exits.items()
            for other in ways.values()
        )


@pytest.mark.parametrize("change", [{"level": 5}, {"seed": None}, {"max_turns": 0}])
def test_a_row_that_makes_no_world_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(RolloutError, match=next(iter(change))):
        play_episode(TextAdventure(), {"seed": 7, **change}, [""])
