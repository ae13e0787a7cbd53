"""Grade a model's text against the expected answer."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nemo_gym.verifiers.math import scan
from nemo_gym.verifiers.math.compare import same
from nemo_gym.verifiers.math.evaluate import Budget, Exhausted
from nemo_gym.verifiers.math.extract import extract
from nemo_gym.verifiers.math.parse import Answer, read
from nemo_gym.verifiers.math.tree import Unreadable
from nemo_gym.verifiers.text import peel_text


@dataclass(frozen=True, slots=True)
class MathGrade:
    """`score` is 1.0 or 0.0; `extracted` is the final answer found, None when there is none."""

    score: float
    extracted: str | None


def grade(text: str, gold: str) -> MathGrade:
    """Return the score of the final answer in `text`; never raises."""
    found = extract(text)
    return MathGrade(float(found is not None and equal(found, gold)), found)


def equal(prediction: str, gold: str) -> bool:
    """Whether two answers are equal under the rules of this package; never raises.

    Both may be wrapped in dollar signs or a box.
    """
    try:
        if _same_spelling(prediction, gold):
            return True
        budget = Budget()
        golds = read(gold)
        predictions = read(prediction) if golds else []
        return any(_same(wanted, found, budget) for wanted in golds for found in predictions)
    except (Exhausted, RecursionError):
        return False


def _same(gold: Answer, prediction: Answer, budget: Budget) -> bool:
    if (
        gold.unit
        and prediction.unit
        and gold.unit != prediction.unit
        and {gold.unit, prediction.unit} <= _KNOWN
    ):
        return False
    return same(gold.node, prediction.node, budget)


_KNOWN = frozenset(scan.UNITS.values())


def _same_spelling(prediction: str, gold: str) -> bool:
    try:
        left, right = scan.clean(prediction), scan.clean(gold)
    except Unreadable:
        return False
    if not left or not right:
        return False
    if _BLANK.sub("", left) == _BLANK.sub("", right):
        return True
    left, right = peel_text(left), peel_text(right)
    return bool(_TEXT.fullmatch(left)) and scan.plain_words(left) == scan.plain_words(right)


_BLANK = re.compile(r"(?<!\d)\s+|\s+(?!\d)")
_TEXT = re.compile(r"(?=.*[A-Za-z]{3})[\w\s'.,-]+")
