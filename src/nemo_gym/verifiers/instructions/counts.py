"""Instructions that count kinds of words and characters, or compare their numbers."""

from __future__ import annotations

import re

from nemo_gym.verifiers.instructions.registry import instruction
from nemo_gym.verifiers.instructions.units import (
    EDGES,
    listed,
    plain_words,
    sentences,
    without_punctuation,
    word_runs,
)


@instruction("count:unique_word_count")
def unique_word_count(text: str, *, N: int) -> bool:
    return len({word.strip(EDGES) for word in text.lower().split()}) >= N


@instruction("count:conjunctions")
def conjunctions(text: str, *, small_n: int) -> bool:
    """At least this many different coordinating conjunctions."""
    return len(CONJUNCTIONS.intersection(word.strip(EDGES).lower() for word in text.split())) >= small_n


@instruction("count:person_names")
def person_names(text: str, *, N: int) -> bool:
    return sum(name in text for name in PERSON_NAMES) >= N


@instruction("count:numbers")
def numbers(text: str, *, N: int) -> bool:
    """Exactly this many numbers; punctuation inside a number does not split it."""
    return len(_DIGITS.findall(without_punctuation(text))) == N


@instruction("count:pronouns")
def pronouns(text: str, *, N: int) -> bool:
    """At least this many personal pronouns."""
    return sum(word in PRONOUNS for word in plain_words(text.replace("/", " "))) >= N


@instruction("count:punctuation")
def punctuation(text: str) -> bool:
    """Every mark of `.,!?;:`, and an interrobang besides."""
    if "‽" not in text and "!?" not in text and "?!" not in text:
        return False
    rest = text.replace("?!", "", 1) if "?!" in text else text.replace("!?", "", 1)
    return all(mark in rest for mark in ".,!?;:")


@instruction("ratio:stop_words")
def stop_words(text: str, *, percentage: float) -> bool:
    """Stop words are at most this part of all words."""
    words = word_runs(text.lower())
    return bool(words) and 100 * sum(word in STOP_WORDS for word in words) / len(words) <= percentage


@instruction("ratio:sentence_type")
def sentence_type(text: str) -> bool:
    """Two declarative sentences for each question."""
    endings = _endings(text)
    return endings["."] == 2 * endings["?"]


@instruction("ratio:sentence_balance")
def sentence_balance(text: str) -> bool:
    """As many declarative sentences as questions and as exclamations."""
    endings = _endings(text)
    return endings["."] == endings["?"] == endings["!"]


@instruction("ratio:overlap")
def overlap(text: str, *, reference_text: str, percentage: float) -> bool:
    """The part of the text's character trigrams that are in the reference, within 2 percent points."""
    trigrams = _trigrams(text)
    share = 100 * len(trigrams & _trigrams(reference_text)) / len(trigrams)
    return percentage - 2 <= share <= percentage + 2


@instruction("ratio:sentence_words")
def sentence_words(text: str) -> bool:
    """Three sentences of the same number of characters."""
    parts = sentences(text)
    return len(parts) == 3 and len({len(part) for part in parts}) == 1


_DIGITS = re.compile(r"\d+")
CONJUNCTIONS = frozenset(("and", "but", "for", "nor", "or", "so", "yet"))
PRONOUNS = frozenset(
    listed(
        """
    i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself
    she her hers herself it its itself they them their theirs themselves
    """
    )
)
STOP_WORDS = PRONOUNS | frozenset(
    listed(
        """
    what which who whom this that these those am is are was were be been being have has had having do
    does did doing a an the and but if or because as until while of at by for with about against between
    into through during before after above below to from up down in out on off over under again further
    then once here there when where why how all any both each few more most other some such no nor not
    only own same so than too very s t can will just don should now d ll m o re ve y ain aren couldn
    didn doesn hadn hasn haven isn ma mightn mustn needn shan shouldn wasn weren won wouldn
    """
    )
) - {"us", "mine"}
PERSON_NAMES = listed(
    """
    Emma Liam Sophia Jackson Olivia Noah Ava Lucas Isabella Mason Mia Ethan Charlotte Alexander Amelia
    Benjamin Harper Leo Zoe Daniel Chloe Samuel Lily Matthew Grace Owen Abigail Gabriel Ella Jacob
    Scarlett Nathan Victoria Elijah Layla Nicholas Audrey David Hannah Christopher Penelope Thomas Nora
    Andrew Aria Joseph Claire Ryan Stella Jonathan
    """
)


def _endings(text: str) -> dict[str, int]:
    parts = sentences(text)
    return {mark: sum(part.endswith(mark) for part in parts) for mark in ".?!"}


def _trigrams(text: str) -> set[str]:
    return {text[at : at + 3] for at in range(len(text) - 2)}
