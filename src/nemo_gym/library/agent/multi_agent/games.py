"""The three games with their rules, rewards and scripted opponents. Side 0 is the model, side 1 the other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Annotated, Any, Final, Literal, cast

import msgspec

from nemo_gym.wire.errors import TaskUnfit

Rounds = Annotated[int, msgspec.Meta(ge=2, le=8)]
Money = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
Count = Annotated[int, msgspec.Meta(ge=0, le=6)]
Small = Annotated[int, msgspec.Meta(ge=0, le=10)]
Script = Literal["tit_for_tat", "grim", "always_b", "pavlov", "alternate"]


class Move(msgspec.Struct, frozen=True):
    """An action of one side. A `pass` is an answer without one clear action."""

    kind: Literal["offer", "accept", "leave", "play", "pass"]
    numbers: tuple[int, ...] = ()
    text: str = ""
    """The action as the other side sees it."""


PASS: Final = Move("pass", text="no offer")


class Bargain:
    """What both negotiations share: sides offer in turn until one accepts, leaves, or the rounds are over."""

    rounds: int

    def agreed(self, past: list[list[Move]]) -> tuple[int, Move] | None:
        """The side whose offer is accepted, and the offer."""
        if not past:
            return None
        moves = [move for pair in past for move in pair]
        last, side = moves[-1], (len(past[-1]) - 1) % 2
        offer = moves[-2] if len(moves) > 1 else PASS
        if last.kind == "accept" and offer.kind == "offer":
            return 1 - side, offer
        return None

    def over(self, past: list[list[Move]]) -> bool:
        """Whether the game ends without an agreement."""
        last = past[-1][-1] if past else PASS
        return last.kind == "leave" or (len(past) == self.rounds and len(past[-1]) == 2)


class Price(Bargain, msgspec.Struct, tag="price", tag_field="name", forbid_unknown_fields=True):
    """A seller and a buyer settle a price; each knows only the own limit."""

    role: Literal["seller", "buyer"]
    """The model's role."""
    limits: tuple[Money, Money]
    """The worst acceptable price of the model and of the opponent."""
    opening: Money
    """The scripted opponent's first price; then it goes evenly to its limit, which it reaches last."""
    rounds: Rounds

    @property
    def sign(self) -> int:
        """1 when a higher price is better for the model."""
        return 1 if self.role == "seller" else -1

    @property
    def zone(self) -> int:
        """The gain that there is to divide."""
        return self.sign * (self.limits[1] - self.limits[0])

    def check(self) -> None:
        if self.zone <= 0:
            raise TaskUnfit("limits: no price suits both sides")
        if self.sign * (self.limits[1] - self.opening) < 0:
            raise TaskUnfit("opening: it is beyond the opponent's own limit")

    def rules(self, side: int) -> str:
        role = self.role if side == 0 else {"seller": "buyer", "buyer": "seller"}[self.role]
        worst = "less" if role == "seller" else "more"
        return _RULES.format(
            aim=f"You are the {role} of a machine and settle its price with the other side.",
            private=f"You lose at {worst} than {self.limits[side]}; the further from it, the more you earn.",
            rounds=self.rounds,
            offer="offer PRICE",
            example="<action>offer 120</action>",
        )

    def read(self, text: str) -> Move:
        return _read(text, 1)

    def demand(self, round: int) -> int:
        """The worst price that the scripted opponent accepts in a round."""
        way = self.limits[1] - self.opening
        return self.opening + way * round // (self.rounds - 1) if round < self.rounds - 1 else self.limits[1]

    def scripted(self, past: list[list[Move]], now: Move, round: int) -> Move:
        demand = self.demand(round)
        if now.kind == "offer" and self.sign * (demand - now.numbers[0]) >= 0:
            return Move("accept", text="accept")
        return Move("offer", (demand,), f"offer {demand}")

    def rewards(self, past: list[list[Move]]) -> tuple[float, float] | None:
        if deal := self.agreed(past):
            gain = self.sign * (deal[1].numbers[0] - self.limits[0])
            return _share(gain, self.zone), _share(self.zone - gain, self.zone)
        return (0.0, 0.0) if self.over(past) else None

    def best(self, round: int) -> str:
        return f"offer {self.limits[1]}"


class Split(Bargain, msgspec.Struct, tag="split", tag_field="name", forbid_unknown_fields=True):
    """Two sides divide books, hats and balls, which each values in its own way."""

    counts: tuple[Count, Count, Count]
    values: tuple[tuple[Small, Small, Small], tuple[Small, Small, Small]]
    """What one thing of each kind is worth to the model and to the opponent."""
    floor: Money
    """The least value that the scripted opponent accepts in the last round. It begins with its total."""
    rounds: Rounds

    def worth(self, side: int, share: tuple[int, ...]) -> int:
        """What a share is worth to a side."""
        return sum(value * count for value, count in zip(self.values[side], share, strict=True))

    def rest(self, share: tuple[int, ...]) -> tuple[int, ...]:
        """What a share leaves to the other side."""
        return tuple(count - own for count, own in zip(self.counts, share, strict=True))

    def shares(self) -> Iterator[tuple[int, ...]]:
        """Every possible share."""
        return product(*(range(count + 1) for count in self.counts))

    def best_share(self, demand: int) -> tuple[int, ...]:
        """The model's best share that leaves the opponent at least its demand."""
        suitable = [one for one in self.shares() if self.worth(1, self.rest(one)) >= demand]
        return max(suitable, key=lambda one: self.worth(0, one))

    def check(self) -> None:
        if self.floor < 1 or self.floor > self.worth(1, self.counts):
            raise TaskUnfit("floor: it must be from 1 to the opponent's value of all things")
        if prod(count + 1 for count in self.counts) < 4 or not self.worth(0, self.best_share(self.floor)):
            raise TaskUnfit("counts: no split suits both sides")

    def rules(self, side: int) -> str:
        things = ", ".join(f"{n} {kind}" for n, kind in zip(self.counts, KINDS, strict=True))
        values = ", ".join(f"{kind} {n}" for n, kind in zip(self.values[side], KINDS, strict=True))
        return _RULES.format(
            aim=f"You divide {things} with the other side, who values them in another way.",
            private=f"One thing of each kind is worth to you: {values}. You earn the value of what you get.",
            rounds=self.rounds,
            offer="offer BOOKS HATS BALLS (the numbers that you keep; the other side gets the rest)",
            example="<action>offer 2 0 1</action>",
        )

    def read(self, text: str) -> Move:
        move = _read(text, 3)
        if any(own > count for own, count in zip(move.numbers, self.counts, strict=False)):
            return PASS
        return move

    def demand(self, round: int) -> int:
        """The least value that the scripted opponent accepts in a round."""
        top = self.worth(1, self.counts)
        return self.floor + (top - self.floor) * (self.rounds - 1 - round) // (self.rounds - 1)

    def scripted(self, past: list[list[Move]], now: Move, round: int) -> Move:
        demand = self.demand(round)
        if now.kind == "offer" and self.worth(1, self.rest(now.numbers)) >= demand:
            return Move("accept", text="accept")
        keeps = self.rest(self.best_share(demand))
        return Move("offer", keeps, f"offer {' '.join(map(str, keeps))}")

    def rewards(self, past: list[list[Move]]) -> tuple[float, float] | None:
        if deal := self.agreed(past):
            side, share = deal[0], deal[1].numbers
            shares = (share, self.rest(share)) if side == 0 else (self.rest(share), share)
            own = _share(self.worth(0, shares[0]), self.worth(0, self.best_share(self.floor)))
            return own, _share(self.worth(1, shares[1]), self.worth(1, self.counts))
        return (0.0, 0.0) if self.over(past) else None

    def best(self, round: int) -> str:
        return f"offer {' '.join(map(str, self.best_share(self.floor)))}"


class Matrix(msgspec.Struct, tag="matrix", tag_field="name", forbid_unknown_fields=True):
    """Both sides choose A or B at the same time, again and again."""

    payoffs: dict[Literal["AA", "AB", "BA", "BB"], tuple[Small, Small]]
    """The payoffs of the model and the opponent, by the model's choice and then the opponent's."""
    script: Script
    rounds: Rounds

    def check(self) -> None:
        if len(self.payoffs) != 4:
            raise TaskUnfit("payoffs: it must have AA, AB, BA and BB")
        low, high = self.extremes()
        if low == high:
            raise TaskUnfit("payoffs: every course earns the same")

    def rules(self, side: int) -> str:
        rows: list[str] = []
        for pair, payoff in self.payoffs.items():
            own, other = pair if side == 0 else pair[::-1]
            rows.append(
                f"- you {own}, the other side {other}: {payoff[side]} for you, {payoff[1 - side]} for it"
            )
        return _MATRIX.format(rounds=self.rounds, rows="\n".join(rows))

    def read(self, text: str) -> Move:
        choice = text.strip()
        return Move("play", ("AB".index(choice),), choice) if choice in ("A", "B") else PASS

    def scripted(self, past: list[list[Move]], now: Move, round: int) -> Move:
        pairs = [(pair[0].numbers[0], pair[1].numbers[0]) for pair in past if len(pair) == 2]
        choice = _choice(self.script, pairs)
        return Move("play", (choice,), "AB"[choice])

    def rewards(self, past: list[list[Move]]) -> tuple[float, float] | None:
        if past and any(move.kind != "play" for move in past[-1]):
            return 0.0, 0.0
        if len(past) < self.rounds or len(past[-1]) < 2:
            return None
        low, high = self.extremes()
        sums = [
            sum(self.payoff(pair[0].numbers[0], pair[1].numbers[0])[side] for pair in past) for side in (0, 1)
        ]
        top = self.rounds * max(payoff[1] for payoff in self.payoffs.values())
        return _share(sums[0] - low, high - low), _share(sums[1], top)

    def payoff(self, own: int, other: int) -> tuple[int, int]:
        """The payoffs of both sides for their choices."""
        return self.payoffs[cast("Any", "AB"[own] + "AB"[other])]

    def courses(self) -> list[tuple[int, list[tuple[int, int]]]]:
        """The model's sum in every course of the game against the script, with both sides' choices."""
        courses: list[tuple[int, list[tuple[int, int]]]] = [(0, [])]
        for _ in range(self.rounds):
            courses = [
                (total + self.payoff(own, other)[0], [*pairs, (own, other)])
                for total, pairs in courses
                for other in (_choice(self.script, pairs),)
                for own in (0, 1)
            ]
        return courses

    def extremes(self) -> tuple[int, int]:
        """The lowest and the highest sum against the script."""
        sums = [total for total, _ in self.courses()]
        return min(sums), max(sums)

    def best(self, round: int) -> str:
        return "AB"[max(self.courses())[1][round][0]]


AnyGame = Price | Split | Matrix
KINDS: Final = ("books", "hats", "balls")
_RULES: Final = """\
{aim} {private} Without an agreement nobody earns anything.
There are {rounds} rounds. In each you act first, and then the other side answers. Actions:
- {offer}
- accept (the other side's last offer)
- leave (the end, without an agreement)
Say what you like, and end each answer with one action, such as {example}."""
_MATRIX: Final = """\
You play {rounds} rounds with another side. In each round both choose A or B, at the same time:
{rows}
Earn as much as you can over all rounds. End each answer with <action>A</action> or <action>B</action>; any \
other answer ends the game, and you earn nothing."""


def _choice(script: Script, pairs: list[tuple[int, int]]) -> int:
    """What a script plays after the choices so far; 0 is A, which cooperates."""
    if script == "always_b":
        return 1
    if script == "alternate":
        return len(pairs) % 2
    if not pairs:
        return 0
    if script == "grim":
        return int(any(own for own, _ in pairs))
    own, other = pairs[-1]
    return own if script == "tit_for_tat" else int(own != other)


def _read(text: str, n: int) -> Move:
    """An offer of n numbers, `accept` or `leave`; anything else is a pass."""
    words = text[:100].split()
    if words in (["accept"], ["leave"]) and len(text) <= 100:
        return Move(cast("Any", words[0]), text=words[0])
    if len(text) > 100 or len(words) != n + 1 or words[0] != "offer":
        return PASS
    if not all(word.isascii() and word.isdigit() and len(word) <= 6 for word in words[1:]):
        return PASS
    return Move("offer", tuple(map(int, words[1:])), " ".join(words))


def _share(part: float, whole: float) -> float:
    return min(1.0, max(0.0, part / whole)) if whole > 0 else 0.0
