"""Grade a model's text against the expected answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from nemo_gym.verifiers.math.clean import clean, plain_words
from nemo_gym.verifiers.math.compare import same
from nemo_gym.verifiers.math.evaluate import Budget, Exhausted
from nemo_gym.verifiers.math.extract import extract
from nemo_gym.verifiers.math.options import commits, option_of
from nemo_gym.verifiers.math.parse import read
from nemo_gym.verifiers.math.tree import Node, Series, Unreadable, walk
from nemo_gym.verifiers.text import peel_text


@dataclass(frozen=True, slots=True)
class MathGrade:
    """`score` is 1.0 or 0.0; `extracted` is the final answer found, None when there is none."""

    score: float
    extracted: str | None


def grade(text: str, gold: str) -> MathGrade:
    """Return the score of the final answer in `text`; never raises."""
    answer = extract(text)
    return MathGrade(float(answer is not None and equal(answer, gold)), answer)


def equal(prediction: str, gold: str) -> bool:
    """Whether two answers are equal under the rules of this package; never raises.

    Both may be wrapped in dollar signs or a box.
    """
    if _INTEGER.fullmatch(prediction) and _INTEGER.fullmatch(gold):
        return prediction == gold  # Most answers; reading them takes a hundred times longer.
    try:
        if _same_spelling(prediction, gold):
            return True
        return _same_answers(prediction, gold) or _same_options(prediction, gold)
    except (Exhausted, RecursionError):
        return False


def _same_answers(prediction: str, gold: str) -> bool:
    budget = Budget()
    golds = read(gold)
    predictions = read(prediction) if golds else ()
    return any(_same(expected, answer, budget) for expected in golds for answer in predictions)


def _same_options(prediction: str, gold: str) -> bool:
    """Compare `(D) 5` by its letter, by what follows it, or by both where both sides have them."""
    try:
        expected, option = option_of(clean(gold)), option_of(clean(prediction))
    except Unreadable:
        return False
    if expected and option:
        if expected.letter != option.letter or not commits(option):
            return False
        return not (expected.text and option.text) or _same_answers(option.text, expected.text)
    if option and option.text:
        return commits(option) and _same_answers(option.text, gold)
    return bool(expected and expected.text) and _same_answers(prediction, expected.text if expected else "")


def _same(gold: Node, prediction: Node, budget: Budget) -> bool:
    if _is_unevaluated(prediction) and not _is_unevaluated(gold):
        return False
    return same(gold, prediction, budget)


def _is_unevaluated(node: Node) -> bool:
    return any(isinstance(part, Series) for part in walk(node))


def _same_spelling(prediction: str, gold: str) -> bool:
    """Whether both say the same in other blanks, letter case of words or choices, or decimal comma."""
    try:
        left, right = clean(prediction), clean(gold)
    except Unreadable:
        return False
    if not left or not right:
        return False
    if _BLANK.sub("", left) == _BLANK.sub("", right):
        return True
    if _DECIMAL_COMMA.fullmatch(left) and _DECIMAL.fullmatch(right):
        return Fraction(left.replace(",", ".")) == Fraction(right)
    choice = _CHOICE.fullmatch(right)
    left, right = peel_text(left), peel_text(right)
    if choice and left.strip("() ").casefold() == choice["letter"].casefold():
        return True
    if left == right and not left.isdigit():
        return True
    return bool(_TEXT.fullmatch(left)) and "\\" not in right and plain_words(left) == plain_words(right)


_INTEGER = re.compile(r"0|-?[1-9]\d{0,99}", re.ASCII)
_BLANK = re.compile(r"(?<!\d)\s+|\s+(?!\d)")
_TEXT = re.compile(r"(?=.*[A-Za-z]{3})[\w\s'.,-]+")
_DECIMAL_COMMA = re.compile(r"-?(?:0,\d{1,40}|\d{1,40},(?:\d{1,2}|\d{4,40}))")
_DECIMAL = re.compile(r"-?\d{1,40}\.\d{1,40}")
_CHOICE = re.compile(r"\\(?:text|textbf|textrm|mathrm|mathbf)\s*\{\s*\(?(?P<letter>[A-Za-z])\)?\s*\}")
