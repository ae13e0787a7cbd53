"""Words that name a set, a value or an outcome, and words that say the same."""

from __future__ import annotations

import re
from fractions import Fraction

from nemo_gym.verifiers.math.clean import plain_words
from nemo_gym.verifiers.math.tree import Constant, Group, Node, Number, Words, negate

MAX_WORDING = 60
REALS = Group("(", ")", (negate(Constant("infinity")), Constant("infinity")))
_EMPTY = Group("{", "}", ())
_INFINITY = Constant("infinity")


def meaning_of(text: str) -> Node | None:
    """Return the tree of a whole answer in words that name something; None for any other answer."""
    if len(text) > MAX_WORDING or not _WORDS.fullmatch(text):
        return None
    return _MEANING.get(plain_words(text))


def words_node(text: str) -> Node:
    """Return the tree of plain words: what they name, or the words themselves."""
    words = plain_words(text)
    return _MEANING.get(words) or Words(words)


def _meaning() -> dict[str, Node]:
    meaning: dict[str, Node] = {word: Number(Fraction(value)) for value, word in enumerate(NUMBERS.split())}
    meaning |= {word: Number(Fraction(value)) for value, word in _FRACTIONS}
    for node, phrases in _PHRASES:
        meaning.update(dict.fromkeys((phrase.strip() for phrase in phrases.split(",")), node))
    return meaning


_WORDS = re.compile(r"(?:\\(?:text|textrm|textbf|mathrm|mbox)\s*\{)?\s*[A-Za-z' ]{3,}[.]?\s*\}?")
NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
)
_FRACTIONS = (
    ("1/2", "one half"),
    ("1/2", "a half"),
    ("1/3", "one third"),
    ("2/3", "two thirds"),
    ("1/4", "one quarter"),
    ("1/4", "one fourth"),
    ("3/4", "three quarters"),
    ("3/4", "three fourths"),
)
_PHRASES: tuple[tuple[Node, str], ...] = (
    (
        _EMPTY,
        "no solution, no solutions, no real solution, no real solutions, there is no solution, there "
        "are no solutions, empty set, the empty set, there are no real solutions, no solution exists, "
        "no solutions exist, no roots, no real roots, no real root, there is no real solution, the "
        "equation has no solution, null set",
    ),
    (
        REALS,
        "all real numbers, all reals, all real values, all real x, any real number, every real "
        "number, the real numbers, real numbers, the set of real numbers, the set of all real "
        "numbers, all real numbers x, every real x, any real x",
    ),
    (_INFINITY, "infinity, positive infinity, plus infinity, infinite"),
    (negate(_INFINITY), "negative infinity, minus infinity"),
    (
        Words("does not exist"),
        "does not exist, dne, doesn't exist, the limit does not exist, limit does not exist, it does "
        "not exist, the limit doesn't exist",
    ),
    (
        Words("infinitely many"),
        "infinitely many, infinitely many solutions, there are infinitely many solutions, infinite "
        "solutions, infinite number of solutions, an infinite number of solutions, infinitely many "
        "values",
    ),
)
_MEANING = _meaning()
