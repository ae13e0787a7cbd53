"""Makes the problems of the 13 subsets: needles in a haystack, chains of variables, words and facts."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Problem:
    """A text with a question about it."""

    question: str
    outputs: list[str]
    distractors: list[str]
    """Wrong answers in the text, which no right answer contains."""


Maker = Callable[[random.Random, int], Problem]


def needles(kind: str, *, keys: int, values: int = 1, queries: int = 1, full: bool = False) -> Maker:
    """A maker of problems with numbers that belong to words.

    Args:
        kind: the haystack: `noise`, `essay`, or `needles` for other needles in place of text.
        keys: how many words have numbers.
        values: how many numbers a word that is asked for has.
        queries: how many words are asked for.
        full: words and numbers are long codes.
    """

    def make(rng: random.Random, length: int) -> Problem:
        count = max(keys, length // 12) if kind == "needles" else keys
        names = _codes(rng, count) if full else _pairs_of_words(rng, count)
        targets = names[:queries]
        numbers = {name: _values(rng, values if name in targets else 1, full) for name in names}
        lines = [_NEEDLE.format(name=name, value=one) for name in names for one in numbers[name]]
        text = _hide(rng, lines, [] if kind == "needles" else _hay(rng, kind, length))
        outputs = [one for name in targets for one in numbers[name]]
        question = (
            f"{text}\n\nWhich special magic values does the text give for {_listing(targets)}? "
            "Answer with nothing but the values."
        )
        rivals = [one for name in names[queries:] for one in numbers[name]]
        return Problem(question, outputs, rivals)

    return make


def variable_chain(rng: random.Random, length: int) -> Problem:
    """Which variables get a number, directly or from one another."""
    names = rng.sample([f"{a}{b}{c}" for a in _LETTERS for b in _LETTERS for c in _LETTERS], 10)
    numbers = [str(number) for number in rng.sample(range(10_000, 100_000), 2)]
    chains = names[:5], names[5:]
    lines: list[str] = []
    for chain, number in zip(chains, numbers, strict=True):
        sources = [number, *(f"VAR {name}" for name in chain[:-1])]
        lines += [f"VAR {name} = {source}." for name, source in zip(chain, sources, strict=True)]
    text = _hide(rng, lines, _hay(rng, "noise", length), keep_order=True)
    question = (
        f"{text}\n\nWhich variables have the value {numbers[0]}, directly or through other variables? "
        "Answer with nothing but their names."
    )
    return Problem(question, chains[0], chains[1])


def common_words(rng: random.Random, length: int) -> Problem:
    """Which words of a numbered list come most often."""
    count = 2 if length < 200 else 5 if length < 2000 else 10
    words = _words(rng, max(3 * count, length // 4))
    common, rare = words[:count], words[count:]
    most = max(4, length // (2 * count))
    entries = [*common * most, *rare * (1 if length < 1000 else 2)]
    rng.shuffle(entries)
    listing = " ".join(f"{place}. {word}" for place, word in enumerate(entries, 1))
    question = (
        f"{listing}\n\nWhich {count} words come most often in this list? Answer with nothing but the words."
    )
    return Problem(question, common, rare)


def frequent_words(rng: random.Random, length: int) -> Problem:
    """Which three coded words of a text come most often."""
    words = ["".join(rng.choices(_LETTERS.lower(), k=6)) for _ in range(max(6, min(60, length // 20)))]
    unit = max(2, length // 24)
    counts = [(6 - place) * unit if place < 3 else rng.randint(1, unit) for place in range(len(words))]
    entries = [word for word, count in zip(words, counts, strict=True) for _ in range(count)]
    rng.shuffle(entries)
    question = (
        f"{' '.join(entries)}\n\nWhich 3 coded words come most often in this text? "
        "Answer with nothing but the words."
    )
    return Problem(question, words[:3], words[3:])


def facts(*, hops: int) -> Maker:
    """A maker of questions over documents about people; two hops lead through another person."""

    def make(rng: random.Random, length: int) -> Problem:
        count = max(4, min(len(_FIRST) * len(_LAST) // 2, length // 22))
        people = rng.sample([f"{first} {last}" for first in _FIRST for last in _LAST], count)
        towns = _towns(rng, count)
        mentors = people[1:] + people[:1]
        documents = [
            f"{person} works as a {rng.choice(_JOBS)} in the town of {town}. "
            f"The mentor of {person} is {mentor}."
            for person, town, mentor in zip(people, towns, mentors, strict=True)
        ]
        place = rng.randrange(count)
        subject = people[place] if hops == 1 else f"the mentor of {people[place]}"
        answer = towns[(place + hops - 1) % count]
        rng.shuffle(documents)
        text = "\n".join(f"Document {number}: {document}" for number, document in enumerate(documents, 1))
        question = (
            f"{text}\n\nIn which town does {subject} work? Answer with nothing but the name of the town."
        )
        return Problem(question, [answer], [town for town in towns if town != answer])

    return make


SUBSETS: Final[dict[str, Maker]] = {
    "niah_single_1": needles("noise", keys=1),
    "niah_single_2": needles("essay", keys=1),
    "niah_single_3": needles("essay", keys=1, full=True),
    "niah_multikey_1": needles("essay", keys=4),
    "niah_multikey_2": needles("needles", keys=4),
    "niah_multikey_3": needles("needles", keys=4, full=True),
    "niah_multivalue": needles("essay", keys=2, values=4),
    "niah_multiquery": needles("essay", keys=6, queries=4),
    "vt": variable_chain,
    "cwe": common_words,
    "fwe": frequent_words,
    "qa_1": facts(hops=1),
    "qa_2": facts(hops=2),
}
"""The maker of each subset."""


def _hide(rng: random.Random, lines: Sequence[str], hay: list[str], *, keep_order: bool = False) -> str:
    """The hay with the lines at random places."""
    lines = list(lines) if keep_order else rng.sample(lines, len(lines))
    places = sorted(rng.randint(0, len(hay)) for _ in lines)
    text = list(hay)
    for place, line in reversed(list(zip(places, lines, strict=True))):
        text.insert(place, line)
    return " ".join(text)


def _hay(rng: random.Random, kind: str, length: int) -> list[str]:
    if kind == "noise":
        return [_NOISE[place % len(_NOISE)] for place in range(max(1, length // 5))]
    return [
        f"{rng.choice(_OPENINGS)} {rng.choice(_THINGS)} {rng.choice(_ENDINGS)}"
        for _ in range(max(1, length // 11))
    ]


def _pairs_of_words(rng: random.Random, count: int) -> list[str]:
    pairs = [f"{kind}-{thing}" for kind in _KINDS for thing in _WORDS]
    extra = [f"{pair}-{number}" for number in range(2, 2 + count // len(pairs)) for pair in pairs]
    return rng.sample(pairs + extra, count)


def _codes(rng: random.Random, count: int) -> list[str]:
    return [f"{rng.getrandbits(64):016x}" for _ in range(count)]


def _values(rng: random.Random, count: int, full: bool) -> list[str]:
    return _codes(rng, count) if full else [str(number) for number in rng.sample(range(10**6, 10**7), count)]


def _words(rng: random.Random, count: int) -> list[str]:
    words = [f"{kind}{thing}" for kind in _KINDS for thing in _WORDS]
    extra = [f"{word}{number}" for number in range(2, 2 + count // len(words)) for word in words]
    return rng.sample(words + extra, count)


def _towns(rng: random.Random, count: int) -> list[str]:
    names = [f"{a}{b}{c}" for a in _TOWN_A for b in _TOWN_B for c in _TOWN_C]
    return rng.sample(names, count)


def _listing(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


_NEEDLE = "One of the special magic values for {name} is: {value}."
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_NOISE = ("The hill is quiet.", "Rain falls on the roof.", "A cart goes by.", "The bell rings again.")
_OPENINGS = (
    "Most people who write about the sea forget that",
    "In a good workshop it is normal that",
    "Nobody in the valley was surprised when",
    "It takes a patient reader to notice how",
    "The second rule of gardening says that",
    "Travellers of that century often complained that",
)
_THINGS = (
    "the harbour",
    "an old wall",
    "the market",
    "a narrow road",
    "the winter",
    "a small school",
    "the mill",
)
_ENDINGS = (
    "changes a little with every year.",
    "was once the pride of the town.",
    "costs more than it seems to.",
    "looks different in the evening.",
    "needs somebody who cares for it.",
    "teaches more than books do.",
)
_KINDS = (
    "amber", "brave", "calm", "dusty", "eager", "fancy", "gentle", "hollow", "icy", "jolly", "keen", "loud",
    "misty", "noble", "odd", "proud", "quiet", "rusty", "sunny", "tidy", "urban", "vivid", "warm", "young",
)  # fmt: skip
_WORDS = (
    "acorn", "badge", "candle", "desk", "engine", "fiddle", "garden", "hammer", "island", "jacket", "kettle",
    "ladder", "mirror", "needle", "orchard", "pepper", "quilt", "ribbon", "saddle", "tunnel", "violin",
)  # fmt: skip
_FIRST = (
    "Alma", "Boris", "Celia", "Dario", "Elke", "Farid", "Greta", "Hugo", "Irma", "Jonas", "Kira", "Leon",
    "Mina", "Nils", "Olga", "Pablo", "Rosa", "Stefan", "Tilda", "Viktor", "Wanda", "Yusuf",
)  # fmt: skip
_LAST = (
    "Abbot", "Brandt", "Castro", "Dorn", "Eklund", "Fuchs", "Garcia", "Holm", "Ivanov", "Jensen", "Kovac",
    "Lindt", "Moreau", "Novak", "Okafor", "Petrov", "Quist", "Rossi", "Santos", "Tanaka", "Urban", "Vogel",
)  # fmt: skip
_JOBS = ("baker", "clerk", "doctor", "farmer", "gardener", "judge", "miller", "painter", "tailor", "teacher")
_TOWN_A = ("Al", "Bre", "Cor", "Dun", "Esk", "Fal", "Gor", "Hal", "Kil", "Lor", "Mar", "Nor", "Pel", "Ros")
_TOWN_B = ("ba", "de", "fi", "go", "ka", "le", "mi", "no", "ra", "so", "ti", "va")
_TOWN_C = ("burg", "dale", "ford", "ham", "mouth", "stead", "wick", "holm")
