import asyncio
import itertools
import os
import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.environments.base import Golden, Step
from nemo_gym.environments.conformance.check import check_environment
from nemo_gym.environments.conformance.hostile import HOSTILE_TEXTS
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.seeded_games import SPLITS
from nemo_gym.library.games.blackjack.environment import (
    CARDS,
    PROMPT,
    Blackjack,
    Table,
    basic_strategy_hits,
    describe,
    is_soft,
    strength,
    total,
)
from nemo_gym.wire.errors import EnvironmentFault, UsageError
from nemo_gym.wire.items import assistant, message_text
from nemo_gym.wire.params import check_params, input_items
from nemo_gym.wire.response import Response
from nemo_gym.wire.task import Row, task_to_row

ENVIRONMENT = Blackjack()
HIT, STAND = "<action>hit</action>", "<action>stand</action>"
HANDS = st.lists(st.sampled_from(CARDS), min_size=2, max_size=8)


def play(row: Row, answers: list[str] | None, *, repeat: int = 0) -> tuple[list[str], list[Step]]:
    """What was shown, and the steps, of an episode; without answers the oracle's."""
    return asyncio.run(_play(LocalEnvironment(ENVIRONMENT), row, answers, repeat))


async def _play(
    link: LocalEnvironment, row: Row, answers: list[str] | None, repeat: int
) -> tuple[list[str], list[Step]]:
    async with link.session({**row, "_ng_task_index": 0, "_ng_rollout_index": repeat}) as session:
        shown = [(await link.reset(session)).text or ""]
        steps: list[Step] = []
        for number in range(link.max_steps):
            if answers is None:
                action = Response.of(ENVIRONMENT.oracle(session.task, session))
            elif number < len(answers):
                action = Response.of([assistant(answers[number])])
            else:
                break
            steps.append(await link.step(session, action))
            shown.append(steps[-1].observation or "")
            await asyncio.sleep(0)
            if steps[-1].terminated:
                break
        return shown, steps


def reward(row: Row, answers: list[str]) -> float:
    return sum(step.reward for step in play(row, answers)[1])


def rows(split: str, seed: int, n: int | None) -> list[Row]:
    return [task_to_row(task) for task in ENVIRONMENT.tasks(split, seed, n)]


def test_it_keeps_every_promise_of_an_environment():
    report = asyncio.run(check_environment(Blackjack))
    assert [result for result in report.results if not result.passed] == []


@pytest.mark.parametrize("golden", ENVIRONMENT.golden(), ids=lambda golden: golden.name)
def test_known_cases_earn_what_they_should(golden: Golden):
    low, high = ENVIRONMENT.reward_range
    meanings = {"full_reward": high, "zero_reward": low, "malformed": low}
    answers = [message_text(item) for item in golden.output]
    shown, steps = play(golden.task, answers)
    assert sum(step.reward for step in steps) == meanings.get(golden.kind, golden.expected_reward), shown
    assert len(steps) == len(answers)
    assert steps[-1].terminated


# Cards


@pytest.mark.parametrize(
    ("hand", "points", "soft"),
    [
        ("10 7", 17, False),
        ("A 6", 17, True),
        ("A A", 12, True),
        ("A K", 21, True),
        ("A 6 Q", 17, False),
        ("A A 9", 21, True),
        ("A A K", 12, False),
        ("J Q K", 30, False),
        ("A " * 21, 21, False),
    ],
)
def test_an_ace_counts_eleven_where_that_fits(hand: str, points: int, soft: bool):
    assert (total(hand.split()), is_soft(hand.split())) == (points, soft)


@given(HANDS)
def test_a_total_is_the_best_choice_of_values_for_the_aces(hand: list[str]):
    plain = sum({"J": 10, "Q": 10, "K": 10}.get(card) or int(card) for card in hand if card != "A")
    sums = [plain + sum(values) for values in itertools.product((1, 11), repeat=hand.count("A"))]
    assert total(hand) == max((value for value in sums if value <= 21), default=min(sums))


@pytest.mark.parametrize(
    ("player", "dealer", "result"),
    [
        ("10 9", "10 8", "win"),
        ("10 8", "10 9", "loss"),
        ("10 8", "9 9", "draw"),
        ("10 8", "10 6 9", "win"),
        ("10 8 9", "10 6", "loss"),
        ("10 8 9", "10 6 9", "loss"),
        ("A K", "7 7 7", "win"),
        ("7 7 7", "A K", "loss"),
        ("A K", "A 10", "draw"),
        ("7 7 7", "5 6 10", "draw"),
    ],
)
def test_hands_compare_as_the_rules_say(player: str, dealer: str, result: str):
    assert Table(random.Random(0), player.split(), dealer.split()).result() == result


@given(HANDS, HANDS)
def test_a_win_for_one_is_a_loss_for_the_other_unless_both_are_over(one: list[str], other: list[str]):
    mirror = {"win": "loss", "loss": "win", "draw": "draw"}
    result = Table(random.Random(0), one, other).result()
    if total(one) <= 21 or total(other) <= 21:
        assert Table(random.Random(0), other, one).result() == mirror[result]
    assert (result == "draw") == (strength(one) == strength(other) != (0, False))


@pytest.mark.parametrize(
    ("hand", "shown", "hits"),
    [
        ("10 2", "4", False),
        ("10 2", "3", True),
        ("10 6", "6", False),
        ("10 6", "7", True),
        ("10 7", "A", False),
        ("5 6", "5", True),
        ("A 6", "6", True),
        ("A 7", "8", False),
        ("A 7", "9", True),
        ("A 8", "K", False),
    ],
)
def test_basic_strategy_follows_the_table(hand: str, shown: str, hits: bool):
    assert basic_strategy_hits(hand.split(), shown) == hits


# Episodes


@given(seed=st.integers(0, 10**9), hits=st.integers(0, 25))
def test_an_episode_ends_whatever_is_chosen_and_its_reward_comes_last(seed: int, hits: int):
    _, steps = play({"seed": seed}, [HIT] * hits + [STAND])
    *before, last = steps
    assert [(step.reward, step.terminated, step.truncated) for step in before] == [(0.0, False, False)] * len(
        before
    )
    assert last.terminated
    assert {"win": 1.0, "draw": 0.0, "loss": -1.0}[last.info["result"]] == last.reward
    assert len(steps) < ENVIRONMENT.max_steps


def test_hitting_for_ever_is_going_over_twenty_one():
    for seed in range(50):
        shown, steps = play({"seed": seed}, [HIT] * 24)
        assert steps[-1].reward == -1.0
        assert "You lose" in shown[-1]


def test_the_dealer_takes_cards_to_seventeen_and_no_further():
    for seed in range(100):
        shown, _ = play({"seed": seed}, [STAND])
        dealer = shown[-1].partition("the dealer ")[2].partition(" (")[0].split(", ")
        assert total(dealer) >= 17
        assert len(dealer) == 2 or total(dealer[:-1]) < 17
        assert shown[-1].count(describe(dealer)) >= 1


def test_one_card_of_the_dealer_stays_hidden_until_the_end():
    shown, _ = play({"seed": 18}, [HIT, HIT, STAND])
    assert shown[0] == "You have 3, 2 (5). The dealer shows J."
    assert shown[-1].startswith("You have 3, 2, 6, 4 (15), the dealer J, 8 (18).")


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS.keys())
def test_text_without_an_action_is_standing(text: str):
    assert play({"seed": 3}, [text]) == play({"seed": 3}, [STAND])


# Seeds


@pytest.mark.parametrize("row", [{"seed": 7}, {"seed": "seven"}, {"metadata": {"seed": 7}}])
def test_every_repeat_of_a_task_meets_the_same_cards(row: Row):
    assert play(row, [HIT, STAND], repeat=0) == play(row, [HIT, STAND], repeat=1)


def test_a_seed_of_the_row_goes_before_one_in_its_metadata():
    assert play({"seed": 7, "metadata": {"seed": 8}}, [STAND]) == play({"seed": 7}, [STAND])


def test_without_a_seed_each_repeat_has_its_own_hand_which_is_the_same_when_run_again():
    hands = [play({}, [STAND], repeat=repeat)[0][0] for repeat in range(10)]
    assert len(set(hands)) > 5
    assert hands == [play({}, [STAND], repeat=repeat)[0][0] for repeat in range(10)]


def test_a_seed_that_is_none_is_refused():
    with pytest.raises(EnvironmentFault, match=r"metadata\.seed: expected a number or a text"):
        play({"metadata": {"seed": [1]}}, [STAND])
    with pytest.raises(EnvironmentFault, match="seed"):
        play({"seed": 1.5}, [STAND])


def test_hands_do_not_depend_on_those_played_beside_them():
    async def crowd() -> list[tuple[list[str], list[Step]]]:
        link = LocalEnvironment(ENVIRONMENT)
        answers = [HIT, HIT, STAND]
        return await asyncio.gather(*(_play(link, {"seed": seed % 10}, answers, seed) for seed in range(40)))

    together = asyncio.run(crowd())
    assert together == [play({"seed": seed % 10}, [HIT, HIT, STAND]) for seed in range(40)]


def test_tasks_and_hands_do_not_depend_on_the_hash_seed():
    script = (
        "import random\n"
        "from nemo_gym.library.games.blackjack.environment import Blackjack, deal\n"
        "for task in Blackjack().tasks('train', 0, 20): print(task, deal(random.Random(task.seed)).view())"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert printed[0] == printed[1] != b""


# Tasks and baseline


def test_a_task_is_the_same_however_many_are_asked_for():
    assert rows("train", 3, 10) == rows("train", 3, 30)[:10]
    assert rows("train", 3, 10) != rows("train", 4, 10)


def test_no_seed_is_in_two_splits():
    seeds = [row["seed"] for split in SPLITS for row in rows(split, 0, 300)]
    assert len(set(seeds)) == len(seeds)


def test_a_hundred_tasks_are_made_by_default():
    assert len(rows("validation", 0, None)) == 100


def test_the_prompt_tells_the_rules_once():
    row = rows("example", 0, 1)[0]
    (message,) = input_items(check_params(row["responses_create_params"]))
    assert message["content"] == PROMPT
    assert PROMPT not in play(row, [STAND])[0]


def test_an_unknown_split_is_refused():
    with pytest.raises(UsageError, match="it has train, validation, example, test"):
        ENVIRONMENT.tasks("tests", 0, 1)


def test_basic_strategy_earns_more_than_standing_always():
    made = rows("train", 0, 300)
    oracle = sum(step.reward for row in made for step in play(row, None)[1])
    standing = sum(reward(row, [STAND]) for row in made)
    assert oracle > standing
