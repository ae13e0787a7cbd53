"""Blackjack with two actions, hit and stand."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from nemo_gym import Response, Session, Step, StepEnvironment, Task, ask
from nemo_gym.environments.seeded_games import DEFAULT_N, SPLITS, split_seed
from nemo_gym.verifiers.text import last_tagged, strip_reasoning
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.items import Item, assistant

PROMPT: Final = """\
You play one hand of blackjack against a dealer.
- Cards come from an endless deck: 2 to 10 count their number, J, Q and K count 10, and A counts 11, or 1 \
when 11 would bring the hand over 21.
- You see your own cards and one of the dealer's two. Hit to take another card, stand to stop. Over 21 you \
lose at once.
- When you stand, the dealer takes cards up to a total of 17 or more, and loses over 21.
- The higher total wins. A blackjack, 21 with the first two cards, beats every other 21. Equal hands draw.
- A win gives 1, a draw 0 and a loss -1.
Answer each turn with <action>hit</action> or <action>stand</action>. Any other answer means stand."""


class Blackjack(StepEnvironment):
    """Play one hand of blackjack against a dealer: hit or stand."""

    domain = "games"
    restorable = True
    reward_range = (-1.0, 1.0)
    oracle_exception = "the cards decide: the best strategy wins about as often as it loses"
    null_exception = "an answer without an action stands, which sometimes wins"
    max_steps = 24
    """No hand takes more answers: 21 aces count 21, and the next card brings the hand over 21."""

    class Task(Task):
        seed: int | str | None = None
        """Decides every card of the hand. Without a seed, each rollout has its own hand."""
        metadata: dict[str, Any] | None = None
        """May hold the `seed` instead."""

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Task]:
        """Task i of a split and seed is the same for every `n` (100 by default).

        Raises:
            UsageError: there is no such split.
        """
        self.check_split(split, SPLITS)
        return (self.task(split, seed, i) for i in range(DEFAULT_N if n is None else n))

    def task(self, split: str, seed: int, i: int) -> Task:
        """Task i of a split."""
        return self.Task(
            task_id=f"{split}-{seed}-{i}",
            responses_create_params={**ask(PROMPT)},
            seed=split_seed(split, seed, i),
        )

    def reset(self, task: Task, session: Session) -> str:
        hand_seed = (task.metadata or {}).get("seed") if task.seed is None else task.seed
        if hand_seed is not None and not isinstance(hand_seed, int | str):
            raise TaskUnfit(f"metadata.seed: expected a number or a text, got {hand_seed!r}")
        rng = session.rng if hand_seed is None else random.Random(hand_seed)
        table = session.state["table"] = deal(rng)
        return table.view()

    def step(self, action: Response, session: Session) -> Step:
        table: Table = session.state["table"]
        choice = last_tagged(strip_reasoning(action.final_text), "action")
        if choice is not None and choice.lower() == "hit":
            table.player.append(draw(table.rng))
            if total(table.player) <= 21:
                return Step(table.view())
        else:
            while total(table.dealer) < 17:
                table.dealer.append(draw(table.rng))
        result = table.result()
        reward, words = RESULTS[result]
        text = f"You have {describe(table.player)}, the dealer {describe(table.dealer)}. {words}"
        return Step(text, reward, terminated=True, info={"result": result})

    def oracle(self, task: Task, session: Session) -> list[Item]:
        """The basic strategy of textbooks for these rules, which wins about as often as it loses."""
        table: Table = session.state["table"]
        action = "hit" if basic_strategy_hits(table.player, table.dealer[0]) else "stand"
        return [assistant(f"<action>{action}</action>")]


@dataclass(slots=True)
class Table:
    """Both hands and the deck; the player sees the dealer's first card."""

    rng: random.Random
    player: list[str] = field(default_factory=list[str])
    dealer: list[str] = field(default_factory=list[str])

    def view(self) -> str:
        """What the player sees."""
        return f"You have {describe(self.player)}. The dealer shows {self.dealer[0]}."

    def result(self) -> str:
        """`win`, `draw` or `loss` for the player, when both hands are complete."""
        player, dealer = strength(self.player), strength(self.dealer)
        if player == (0, False) or player < dealer:
            return "loss"
        return "draw" if player == dealer else "win"


def deal(rng: random.Random) -> Table:
    """A table with two cards in each hand; the player's are drawn first."""
    cards = [draw(rng) for _ in range(4)]
    return Table(rng, cards[:2], cards[2:])


def draw(rng: random.Random) -> str:
    """A card of an endless deck."""
    return rng.choice(CARDS)


def total(hand: list[str]) -> int:
    """The best total of a hand: one ace counts 11 if the total is not over 21 then."""
    points = sum(VALUES[card] for card in hand)
    return points + 10 if "A" in hand and points <= 11 else points


def is_soft(hand: list[str]) -> bool:
    """Whether an ace of the hand counts 11."""
    return total(hand) != sum(VALUES[card] for card in hand)


def strength(hand: list[str]) -> tuple[int, bool]:
    """The rank of a hand: its total (0 when it is over 21), and whether it is a blackjack."""
    points = total(hand)
    return (points, points == 21 and len(hand) == 2) if points <= 21 else (0, False)


def basic_strategy_hits(hand: list[str], open_card: str) -> bool:
    """Whether to take a card, by the usual table for a dealer who stands on 17.

    `open_card` is the dealer's card that the player sees.
    """
    points, dealer = total(hand), 11 if open_card == "A" else VALUES[open_card]
    if is_soft(hand):
        return points <= 17 or (points == 18 and dealer >= 9)
    if points == 12:
        return dealer not in (4, 5, 6)
    return points <= 11 or (points <= 16 and dealer >= 7)


def describe(hand: list[str]) -> str:
    """The cards with their total."""
    return f"{', '.join(hand)} ({'soft ' if is_soft(hand) else ''}{total(hand)})"


CARDS: Final = ("A", "2", "3", "4", "5", "6", "7", "8", "9", "10", "J", "Q", "K")
RESULTS: Final = {"win": (1.0, "You win."), "draw": (0.0, "A draw."), "loss": (-1.0, "You lose.")}
"""The reward of each result, and its text for the player."""
VALUES: Final = {"A": 1, "J": 10, "Q": 10, "K": 10} | {str(number): number for number in range(2, 11)}
