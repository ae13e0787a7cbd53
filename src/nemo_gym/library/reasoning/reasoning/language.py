"""Families about words, letters, days and times."""

from __future__ import annotations

import random
from datetime import date, timedelta

from nemo_gym.library.reasoning.reasoning.answers import number, time_of_day, word, words
from nemo_gym.library.reasoning.reasoning.problem import Families, Problem

FAMILIES = Families()

ALPHABET = "abcdefghijklmnopqrstuvwxyz"


@FAMILIES.add(reply="a number", measure="letters to look through", read=number)
def letter_counting(rng: random.Random, level: int) -> Problem:
    """How often a letter occurs in a word, or from level 1 in several words."""
    chosen = rng.sample(WORDS[3:], (1, 2, 4, 8, 12)[level])
    text = " ".join(chosen)
    letter = rng.choice(text.replace(" ", ""))
    place = f'the word "{text}"' if level == 0 else f'"{text}"'
    question = f'How many times does the letter "{letter}" occur in {place}?'
    return Problem(question, str(text.count(letter)), {"hardness": len(text) - text.count(" ")})


@FAMILIES.add(reply="one letter", measure="letters in the text", read=word)
def letter_at(rng: random.Random, level: int) -> Problem:
    """The letter at a place: the first or last of a word, from level 1 any letter of longer strings."""
    if level == 0:
        text = rng.choice(WORDS)
        end, at = rng.choice([("start", 0), ("end", -1)])
        return Problem(f'What letter does "{text}" {end} with?', text[at], {"hardness": len(text)})
    text = rng.choice(LONG_WORDS) if level == 1 else _letters(rng, (10, 16, 25)[level - 2])
    at = rng.randrange(1, len(text) - 1)
    question = f'What is the {at + 1}{_ordinal_ending(at + 1)} letter of "{text}"?'
    return Problem(question, text[at], {"hardness": len(text)})


@FAMILIES.add(reply="the words, separated by commas", measure="words to sort", read=words, weight=2)
def word_sorting(rng: random.Random, level: int) -> Problem:
    """Words to put in alphabetical order."""
    count = (2, 4, 8, 12, 16)[level]
    chosen = rng.sample(WORDS, count)
    question = f"Put these words in alphabetical order: {', '.join(chosen)}."
    return Problem(question, ", ".join(sorted(chosen)), {"hardness": count})


@FAMILIES.add(reply="the result", measure="letters to reverse", read=word)
def string_reversal(rng: random.Random, level: int) -> Problem:
    """A word to spell backwards, or from level 2 random letters."""
    if level < 2:
        text = rng.choice([word for word in WORDS if len(word) == 3] if level == 0 else LONG_WORDS)
    else:
        text = _letters(rng, (9, 14, 20)[level - 2])
    return Problem(f'Write "{text}" backwards.', text[::-1], {"hardness": len(text)})


@FAMILIES.add(reply="the result", measure="letters times places moved", read=words)
def caesar(rng: random.Random, level: int) -> Problem:
    """Letters to move along the alphabet by a number of places, at level 0 by one."""
    chosen = rng.sample([word for word in WORDS if level or len(word) == 3], (1, 1, 2, 3, 5)[level])
    shift = 1 if level == 0 else rng.randint(2, (4, 4, 7, 12, 24)[level])
    plain = " ".join(chosen)
    code = " ".join(_shift(word, shift) for word in chosen)
    facts = {"hardness": len(plain.replace(" ", "")) * min(shift, 26 - shift)}
    if level == 0:
        return Problem(f'Replace each letter of "{plain}" with the next letter of the alphabet.', code, facts)
    step = f"{shift} places forward in the alphabet, from z on to a"
    if rng.random() < 0.5:
        return Problem(f'Move each letter of "{plain}" {step}.', code, facts)
    question = f'Each letter of a text was moved {step}. That gave "{code}". What was the text?'
    return Problem(question, plain, facts)


@FAMILIES.add(reply="the day of the week", measure="days between", read=word)
def weekday(rng: random.Random, level: int) -> Problem:
    """The day of the week some days before or after another day, or from level 2 of another date."""
    start = date(rng.randint(1970, 2030), 1, 1) + timedelta(rng.randrange(365))
    distance = rng.randint(*((1, 3), (4, 30), (60, 250), (400, 1400), (5000, 36000))[level])
    before = level < 2 and rng.random() < 0.5
    answer = _day(start - timedelta(distance) if before else start + timedelta(distance))
    if level < 2:
        days = "" if distance == 1 else f"{distance} days "
        question = f"Which day of the week is {days}{'before' if before else 'after'} {_day(start)}?"
    else:
        later = _long_date(start + timedelta(distance))
        question = f"{_long_date(start)} is a {_day(start)}. What day of the week is {later}?"
    return Problem(question, answer, {"hardness": distance})


@FAMILIES.add(reply="the time as HH:MM", measure="minutes added", read=time_of_day)
def clock(rng: random.Random, level: int) -> Problem:
    """The time after one or more spans, on the 24-hour clock."""
    minutes = rng.randrange(24) * 60 + (0 if level == 0 else rng.randrange(60))
    start = _time(minutes)
    count, low, high = ((1, 60, 180), (1, 61, 600), (2, 200, 1200), (3, 200, 1200), (4, 200, 1200))[level]
    spans = [rng.randint(low, high) for _ in range(count)]
    if level == 0:
        spans = [span // 60 * 60 for span in spans]
    later = ", then ".join(_span(span) for span in spans)
    answer = _time((minutes + sum(spans)) % 1440)
    question = f"It is {start} on a 24-hour clock. What time is it {later} later?"
    return Problem(question, answer, {"hardness": sum(spans)})


_VOCABULARY = (
    "ant bag bed box bus cat cow cup day dog ear egg fan fig fox gem hat hen ice jam jar key lid map nut "
    "oak owl pen pig ram sea sun tea toy van wax apple arrow bread brick camel candle carpet cheese "
    "circle cloud coffee copper cotton desert dinner dragon eagle engine father feather finger flower "
    "forest garden ginger grape hammer harbor honey horse island jacket jungle kettle kitten ladder lemon "
    "letter lizard marble market mirror monkey morning mother mountain needle nickel number ocean office "
    "orange oven paper parrot pebble pencil pepper pillow planet pocket potato puzzle rabbit rainbow "
    "ribbon river rocket saddle sailor salad school shadow silver simple sister spider spring square "
    "stone summer sunset table teacher ticket tiger tomato tunnel turtle valley velvet village violin "
    "wagon water weather whistle window winter yellow zebra "
)
WORDS = _VOCABULARY.split()
LONG_WORDS = [word for word in WORDS if len(word) >= 6]


def _letters(rng: random.Random, count: int) -> str:
    return "".join(rng.choice(ALPHABET) for _ in range(count))


def _ordinal_ending(place: int) -> str:
    return "th" if 10 < place % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")


def _shift(text: str, shift: int) -> str:
    return text.translate(str.maketrans(ALPHABET, ALPHABET[shift:] + ALPHABET[:shift]))


def _day(when: date) -> str:
    return f"{when:%A}"


def _long_date(when: date) -> str:
    return f"{when.day} {when:%B} {when.year}"


def _time(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _span(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    parts = [
        f"{count} {unit}{'s' * (count > 1)}" for count, unit in ((hours, "hour"), (rest, "minute")) if count
    ]
    return " and ".join(parts)
