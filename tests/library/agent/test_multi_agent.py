"""multi_agent: two sides, each with its own reward and trajectory."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from nemo_gym.library.agent.multi_agent.drawing import NAMES
from nemo_gym.library.agent.multi_agent.environment import GameTask, MultiAgent, move_in
from nemo_gym.library.agent.multi_agent.games import PASS, AnyGame, Matrix, Price, Split
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.params import ask
from nemo_gym.wire.task import Row, task_to_row
from tests.library.episodes import check_baselines, check_lines, episode, total

PRICE = Price("seller", (400, 460), 390, 3)
SPLIT = Split((2, 1, 2), ((1, 4, 3), (5, 1, 2)), 8, 3)
PAYOFFS: Any = {"AA": (6, 6), "AB": (0, 10), "BA": (10, 0), "BB": (2, 2)}
MATRIX = Matrix(PAYOFFS, "tit_for_tat", 4)


def row(game: AnyGame) -> Row:
    return task_to_row(GameTask(responses_create_params=dict(ask(game.rules(0))), game=game))


def act(*actions: str) -> list[str]:
    return [f"<action>{action}</action>" for action in actions]


def test_golden_cases_and_hacks_earn_what_they_say() -> None:
    check_lines(MultiAgent())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", range(5))
def test_the_oracle_earns_all_and_an_empty_policy_nothing(level: int, name: str) -> None:
    check_baselines(MultiAgent({"level": level, "game": name}), 15)


@pytest.mark.parametrize("name", ["price", "split"])
def test_the_first_offer_of_the_other_side_is_worth_little(name: str) -> None:
    environment = MultiAgent({"level": 2, "game": name})
    rows = [task_to_row(task) for task in environment.tasks("test", 0, 30)]
    answers = act("leave_it", "accept")
    assert all(total(episode(environment, row, answers)) < 0.5 for row in rows)


@pytest.mark.parametrize("level", [0, 3])
@pytest.mark.parametrize("name", NAMES)
def test_every_game_and_level_has_a_thousand_distinct_tasks(name: str, level: int) -> None:
    environment = MultiAgent({"level": level, "game": name})
    prompts = [
        json.dumps(task.responses_create_params)
        for split, n in (("train", 800), ("validation", 90), ("test", 90), ("example", 90))
        for task in environment.tasks(split, 0, n)
    ]
    assert len(prompts) == len(set(prompts)) >= 1000


def test_each_side_has_its_own_reward_and_trajectory() -> None:
    steps = episode(MultiAgent(), row(PRICE), ["Hi. " + act("offer 470")[0], *act("offer 420")])
    sides = steps[-1].info["sides"]
    assert sides["model"]["reward"] == pytest.approx(20 / 60)
    assert sides["opponent"]["reward"] == pytest.approx(40 / 60)
    assert [turn["action"] for turn in sides["model"]["trajectory"]] == ["offer 470", "offer 420"]
    assert [turn["action"] for turn in sides["opponent"]["trajectory"]] == ["offer 390", "accept"]
    assert sides["model"]["trajectory"][0]["text"].startswith("Hi.")


def test_a_model_may_play_the_other_side() -> None:
    environment = MultiAgent({"other_side": "model"})
    models = {"opponent": ["<think>low</think>I pay little. " + act("offer 410")[0], *act("accept")]}
    steps = episode(environment, row(PRICE), [*act("offer 460", "offer 450")], models)
    assert "I pay little." in str(steps[0].observation)
    assert "think" not in str(steps[0].observation)
    assert total(steps) == pytest.approx(50 / 60)
    assert steps[-1].info["sides"]["opponent"]["reward"] == pytest.approx(10 / 60)
    assert list(environment.needed_models()) == ["opponent"]
    assert list(MultiAgent().needed_models()) == []


def test_the_model_may_accept_the_offer_of_a_model() -> None:
    environment = MultiAgent({"other_side": "model"})
    steps = episode(
        environment, row(SPLIT), act("offer 2 1 2", "accept"), {"opponent": act("offer 2 0 0")[0]}
    )
    assert total(steps) == 1.0
    assert steps[-1].info["sides"]["opponent"]["reward"] == pytest.approx(10 / 15)


def test_an_unclear_choice_of_a_model_on_the_other_side_is_b() -> None:
    environment = MultiAgent({"other_side": "model"})
    steps = episode(environment, row(MATRIX), act(*"AAAA"), {"opponent": ["hm", *act("A", "A", "A")]})
    assert len(steps) == 4
    assert "The other side: B." in str(steps[0].observation)
    assert total(steps) == pytest.approx((18 - 14) / 14)


@pytest.mark.parametrize(
    ("script", "own", "other"),
    [
        ("tit_for_tat", "ABAA", "AABA"),
        ("grim", "ABAA", "AABB"),
        ("always_b", "ABAA", "BBBB"),
        ("alternate", "ABAA", "ABAB"),
        ("pavlov", "ABAA", "AABB"),
    ],
)
def test_scripts_play_as_they_are_known(script: Any, own: str, other: str) -> None:
    steps = episode(MultiAgent(), row(Matrix(PAYOFFS, script, 4)), act(*own))
    course = steps[-1].info["sides"]["opponent"]["trajectory"]
    assert "".join(turn["action"] for turn in course) == other


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<action>",
        "</action><action>",
        "<action>offer 1 2</action>",
        "<action>offer -1</action>",
        "<action>offer 1e3</action>",
        "<action>offer 460</action> or so",
        "<action>offer 460</action><action>offer 460</action>",
        "<action>" * 100_000,
        "<action>offer " + "1" * 1_000_000 + "</action>",
        "\ud800<action>\x00</action>",
    ],
)
def test_an_answer_without_one_clear_action_is_a_pass(text: str) -> None:
    assert move_in(text, PRICE) == PASS


@pytest.mark.parametrize(
    "game",
    [
        Price("seller", (460, 400), 390, 3),
        Price("seller", (400, 460), 470, 3),
        Split((2, 1, 2), ((1, 4, 3), (5, 1, 2)), 99, 3),
        Split((0, 0, 0), ((1, 4, 3), (5, 1, 2)), 1, 3),
        Matrix({"AA": (1, 1)}, "grim", 3),
        Matrix(dict.fromkeys(PAYOFFS, (1, 1)), "grim", 3),
    ],
    ids=str,
)
def test_a_row_that_makes_no_game_is_refused(game: AnyGame) -> None:
    with pytest.raises(TaskUnfit):
        episode(MultiAgent(), {**row(MATRIX), "game": msgspec.to_builtins(game)}, act("A"))
