"""Instructions that hold for each word, or for neighbouring words."""

from __future__ import annotations

import re
import string
from functools import cache
from itertools import pairwise
from typing import Any

from nemo_gym.verifiers.instructions.registry import instruction
from nemo_gym.verifiers.instructions.units import (
    EDGES,
    filled_lines,
    plain_words,
    sentences,
    tokens,
    without_punctuation,
)
from nemo_gym.verifiers.instructions.verbs import is_verb
from nemo_gym.wire.errors import UsageError


@instruction("words:alphabet")
def alphabet(text: str) -> bool:
    """Each word begins with the next letter of the alphabet; `a` comes after `z`."""
    letters = [_LETTERS.find(word[0]) for word in plain_words(text)]
    return (
        bool(letters)
        and all(letter == (letters[0] + n) % 26 for n, letter in enumerate(letters))
        and letters[0] >= 0
    )


@instruction("words:vowel")
def vowel(text: str) -> bool:
    """One paragraph with at most three of the five vowels."""
    return "\n" not in text.strip() and len(set("aeiou").intersection(text.lower())) <= 3


@instruction("words:consonants")
def consonants(text: str) -> bool:
    """Each word has two consonants in a row."""
    return all(_CLUSTER.search(word) for word in text.lower().split())


@instruction("words:palindrome")
def palindromes(text: str) -> bool:
    """At least ten palindromes of five letters or more."""
    return sum(len(word) >= 5 and word == word[::-1] for word in plain_words(text)) >= 10


@instruction("words:prime_lengths")
def prime_lengths(text: str) -> bool:
    return all(_is_prime(len(word)) for word in without_punctuation(text).split())


@instruction("words:no_consecutive")
def no_consecutive(text: str) -> bool:
    """No two neighbouring words begin with the same letter."""
    words = plain_words(text)
    return all(first[0] != second[0] for first, second in pairwise(words))


@instruction("words:odd_even_syllables")
def odd_even_syllables(text: str) -> bool:
    """Words with odd and even numbers of syllables alternate."""
    count = _syllables()
    odd = [count(word[:60]) % 2 for word in plain_words(text)]
    return all(first != second for first, second in pairwise(odd))


@instruction("words:start_verb")
def start_verb(text: str) -> bool:
    parts = tokens(text)
    return bool(parts) and is_verb(parts[0])


@instruction("count:words_japanese")
def words_japanese(text: str, *, N: int) -> bool:
    """Each N-th word that is not a number has a Japanese letter."""
    parts = [word.strip(EDGES) for word in text.split()]
    return N > 0 and all(not word or word.isdigit() or _JAPANESE.search(word) for word in parts[N - 1 :: N])


@instruction("format:newline")
def newline(text: str) -> bool:
    """Each word is on a line of its own."""
    return all(len(line.split()) == 1 for line in filled_lines(without_punctuation(text)))


@instruction("sentence:alliteration_increment")
def alliteration_increment(text: str) -> bool:
    """Each sentence has more words in alliteration than the one before."""
    counts = [_alliteration(sentence) for sentence in sentences(text)]
    return all(first < second for first, second in pairwise(counts))


_LETTERS = string.ascii_lowercase
_CLUSTER = re.compile(r"[bcdfghjklmnpqrstvwxyz]{2}")
_JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def _alliteration(sentence: str) -> int:
    """The number of words beside one with the same first letter."""
    letters = [clean[0] for word in sentence.lower().split() if (clean := word.lstrip(EDGES))]
    same = [first == second for first, second in pairwise(letters)]
    starts = sum(one and not before for before, one in zip([False, *same], same, strict=False))
    return sum(same) + starts


@cache
def _syllables() -> Any:
    try:
        import syllapy
    except ImportError:
        raise UsageError(
            "instructions about syllables need syllapy: pip install 'nemo-gym[instructions]'"
        ) from None
    return syllapy.count
