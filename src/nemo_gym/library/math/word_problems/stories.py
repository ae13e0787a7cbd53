"""Writes word problems: an opening gives a quantity of things, and each further step changes it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

Step = Callable[[random.Random, "Story"], bool]
"""Adds a sentence and changes the count; False when it doesn't fit the count."""


@dataclass
class Story:
    """A story so far: somebody has a number of things."""

    person: str
    friend: str
    thing: str
    count: int
    text: str
    working: str = ""
    """How the number of the opening comes about, such as `3 + 4`."""

    def open(self, sentence: str, working: str, count: int) -> bool:
        """Begin with a sentence, after which there are so many things."""
        self.working = working
        return self.add(sentence, count)

    def add(self, sentence: str, count: int | Fraction) -> bool:
        """Append a sentence, after which there are so many things."""
        if count != int(count) or not 1 <= count <= 100_000:
            return False
        self.text += f" {sentence}"
        self.count = int(count)
        return True


def write_story(rng: random.Random, steps: int, largest: int) -> Story:
    """A story with an opening of one step and so many further steps, ending in a question."""
    person, friend = rng.sample(_PEOPLE, 2)
    story = Story(person, friend, rng.choice(_THINGS), 0, "")
    while not rng.choice(OPENINGS)(rng, story, largest):
        pass
    kinds = list(STEPS)
    rng.shuffle(kinds)
    for number in range(steps):
        if steps >= 2 and number == steps // 2:
            story.text += f" {_distractor(rng, story)}"
        while not kinds.pop()(rng, story):
            if not kinds:
                return write_story(rng, steps, largest)
    story.text = f"{story.text.strip()} How many {story.thing} does {person} have now?"
    return story


def _bags(rng: random.Random, story: Story, largest: int) -> bool:
    a, b = rng.randint(2, largest), rng.randint(2, largest)
    return story.open(f"{story.person} has {a} bags with {b} {story.thing} in each.", f"{a} * {b}", a * b)


def _two_days(rng: random.Random, story: Story, largest: int) -> bool:
    a, b = rng.randint(2, largest), rng.randint(2, largest)
    text = f"{story.person} collects {a} {story.thing} on Monday and {b} on Tuesday."
    return story.open(text, f"{a} + {b}", a + b)


def _more_than(rng: random.Random, story: Story, largest: int) -> bool:
    a, b = rng.randint(2, largest), rng.randint(2, largest)
    text = f"{story.friend} has {a} {story.thing}, and {story.person} has {b} more than {story.friend}."
    return story.open(text, f"{a} + {b}", a + b)


def _fewer_than(rng: random.Random, story: Story, largest: int) -> bool:
    b = rng.randint(2, largest)
    a = b + rng.randint(2, largest)
    text = f"{story.friend} has {a} {story.thing}. {story.person} has {b} fewer than {story.friend}."
    return story.open(text, f"{a} - {b}", a - b)


def _rows(rng: random.Random, story: Story, largest: int) -> bool:
    a, b = rng.randint(2, largest), rng.randint(2, largest)
    return story.open(f"{story.person} lays out {story.thing} in {a} rows of {b}.", f"{a} * {b}", a * b)


def _daily(rng: random.Random, story: Story, largest: int) -> bool:
    a, weeks = rng.randint(2, largest), rng.randint(1, 3)
    unit = "week" if weeks == 1 else f"{weeks} weeks"
    text = f"{story.person} gets {a} {story.thing} a day, every day for {'a ' * (weeks == 1)}{unit}."
    return story.open(text, f"{7 * weeks} * {a}", 7 * weeks * a)


def _budget(rng: random.Random, story: Story, largest: int) -> bool:
    price, count = rng.randint(2, 9), rng.randint(2, largest)
    text = (
        f"One of the {story.thing} costs {price} coins. {story.person} spends {price * count} coins on them."
    )
    return story.open(text, f"{price * count} / {price}", count)


def _dozens(rng: random.Random, story: Story, largest: int) -> bool:
    dozens, more = rng.randint(1, largest), rng.randint(1, 11)
    text = f"{story.person} buys {dozens} dozen {story.thing} and finds {more} more."
    return story.open(text, f"12 * {dozens} + {more}", 12 * dozens + more)


def _share_of(rng: random.Random, story: Story, largest: int) -> bool:
    people, each = rng.randint(2, 9), rng.randint(2, largest)
    text = f"{people} friends share {people * each} {story.thing} equally. {story.person} is one of them."
    return story.open(text, f"{people * each} / {people}", each)


def _times_as_many(rng: random.Random, story: Story, largest: int) -> bool:
    a, factor = rng.randint(2, largest), rng.randint(2, 6)
    text = f"{story.friend} has {a} {story.thing}, and {story.person} has {factor} times as many."
    return story.open(text, f"{factor} * {a}", factor * a)


def _gets(rng: random.Random, story: Story) -> bool:
    a = rng.randint(2, 40)
    return story.add(f"{story.friend} gives {story.person} {a} more.", story.count + a)


def _loses(rng: random.Random, story: Story) -> bool:
    a = rng.randint(1, 40)
    return story.add(f"{story.person} loses {a} of them.", story.count - a)


def _doubles(_: random.Random, story: Story) -> bool:
    return story.add(f"The next day {story.person} doubles the number of {story.thing}.", 2 * story.count)


def _sells_fraction(rng: random.Random, story: Story) -> bool:
    bottom = rng.choice([2, 3, 4, 5])
    word = {2: "half", 3: "a third", 4: "a quarter", 5: "a fifth"}[bottom]
    return story.add(
        f"{story.person} sells {word} of the {story.thing}.", story.count - Fraction(story.count, bottom)
    )


def _keeps_fraction(rng: random.Random, story: Story) -> bool:
    top, bottom = rng.choice([(2, 3), (3, 4), (2, 5), (3, 5), (5, 6)])
    text = f"{story.person} keeps {top}/{bottom} of the {story.thing} and gives the others away."
    return story.add(text, Fraction(story.count * top, bottom))


def _percent_less(rng: random.Random, story: Story) -> bool:
    part = rng.choice([10, 20, 25, 30, 40, 60, 75])
    left = Fraction(story.count * (100 - part), 100)
    return story.add(f"Then {part}% of the {story.thing} break, and {story.person} throws these away.", left)


def _percent_more(rng: random.Random, story: Story) -> bool:
    part = rng.choice([10, 20, 25, 50])
    more = Fraction(story.count * (100 + part), 100)
    return story.add(f"After a good week {story.person} has {part}% more {story.thing}.", more)


def _shares(rng: random.Random, story: Story) -> bool:
    people = rng.randint(2, 6)
    text = (
        f"{story.person} divides all {story.thing} equally among {people} children, "
        "keeps the share of one child and gives the rest away."
    )
    return story.add(text, Fraction(story.count, people))


def _packs(rng: random.Random, story: Story) -> bool:
    packs, size = rng.randint(2, 6), rng.randint(3, 12)
    text = f"{story.person} buys {packs} packs with {size} {story.thing} each."
    return story.add(text, story.count + packs * size)


def _hands_out(rng: random.Random, story: Story) -> bool:
    guests, each = rng.randint(2, 8), rng.randint(2, 6)
    text = f"{guests} guests come, and {story.person} gives {each} {story.thing} to each of them."
    return story.add(text, story.count - guests * each)


def _full_boxes(rng: random.Random, story: Story) -> bool:
    size = rng.randint(3, 9)
    text = (
        f"{story.person} packs as many boxes of {size} {story.thing} as possible, "
        "sends the full boxes away and keeps the rest."
    )
    return story.add(text, story.count % size)


def _hourly(rng: random.Random, story: Story) -> bool:
    hours, rate = rng.randint(2, 8), rng.randint(2, 9)
    text = f"{story.person} makes {rate} {story.thing} an hour for {hours} hours and keeps them."
    return story.add(text, story.count + hours * rate)


def _swaps(rng: random.Random, story: Story) -> bool:
    give, get = rng.randint(2, 9), rng.randint(2, 9)
    text = f"{story.person} swaps {give} of the {story.thing} for {get} others of {story.friend}'s."
    return give != get and story.count > give and story.add(text, story.count - give + get)


def _pools(rng: random.Random, story: Story) -> bool:
    other = rng.randint(4, 60)
    text = (
        f"{story.friend}, who has {other}, puts these together with {story.person}'s, "
        f"and {story.person} gets half of all."
    )
    return story.add(text, Fraction(story.count + other, 2))


def _until(rng: random.Random, story: Story) -> bool:
    target, extra = story.count + rng.randint(3, 50), rng.randint(2, 9)
    text = (
        f"{story.person} needs {target} {story.thing} and gets all that are missing, and then {extra} more."
    )
    return story.add(text, target + extra)


def _uses_daily(rng: random.Random, story: Story) -> bool:
    days, each = rng.randint(2, 10), rng.randint(2, 5)
    return story.add(
        f"For {days} days {story.person} uses {each} {story.thing} a day.", story.count - days * each
    )


OPENINGS: Final = (
    _bags, _two_days, _more_than, _fewer_than, _rows, _daily, _budget, _dozens, _share_of, _times_as_many,
)  # fmt: skip
STEPS: Final[tuple[Step, ...]] = (
    _gets, _loses, _doubles, _sells_fraction, _keeps_fraction, _percent_less, _percent_more, _shares, _packs,
    _hands_out, _full_boxes, _hourly, _swaps, _pools, _until, _uses_daily,
)  # fmt: skip


def _distractor(rng: random.Random, story: Story) -> str:
    number = rng.randint(3, 90)
    return rng.choice(
        [
            f"{story.friend} is {number} years old.",
            f"The way to school takes {number} minutes.",
            f"{story.friend} reads a book with {number} pages meanwhile.",
            f"The house of {story.person} has the number {number}.",
            f"It is {number % 30} degrees outside.",
        ]
    )


_PEOPLE = ("Amara", "Ben", "Chloe", "Diego", "Elif", "Finn", "Hana", "Igor", "Julia", "Kofi", "Lena", "Mateo")
_THINGS = (
    "marbles",
    "stickers",
    "shells",
    "pencils",
    "cards",
    "stamps",
    "buttons",
    "beads",
    "badges",
    "ribbons",
)
