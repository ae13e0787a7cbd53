"""Verdicts on rows of the package reasoning-gym, which name their data set but have no checker here."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, Final, cast

from nemo_gym.library.reasoning.reasoning.answers import (
    MAX_ANSWER,
    answer_place,
    plain_answer,
    same_text,
)
from nemo_gym.verifiers.arithmetic_expression import read_expression

Facts = Mapping[str, Any]


def grade(text: str, answer: str, facts: Facts) -> tuple[bool, str]:
    """Whether the answer of a final text is right, and that answer.

    It is right if it is equal to the row's answer, apart from notation. Of the data sets in `CHECKERS` other
    answers may be right too, by the facts of the row.
    """
    place = answer_place(text)
    if place is not None and place.strip() == answer.strip():
        return True, place.strip()[:MAX_ANSWER]
    extract = plain_answer(text)[:MAX_ANSWER]
    if same_text(extract, answer):
        return True, extract
    checker = CHECKERS.get(str(facts.get("source_dataset")))
    return checker is not None and bool(extract) and checker(extract, answer, facts), extract


def _makes_target(given: str, _: str, facts: Facts) -> bool:
    """Whether an expression has each number once, and the value of the target, which is 24 where none is."""
    expression, numbers = read_expression(given), _entries(facts.get("numbers"))
    if expression is None:
        return False
    same_numbers = sorted(map(str, expression.numbers)) == sorted(map(str, numbers))
    return same_numbers and str(expression.value) == str(facts.get("target", 24))


def _is_near_probability(given: str, answer: str, _: Facts) -> bool:
    """Whether a decimal or a fraction is at most 0.0001 from the probability."""
    values = [_fraction(given), _fraction(answer)]
    return None not in values and abs((values[0] or 0) - (values[1] or 0)) <= Fraction(1, 10_000)


def _is_near_decimal(given: str, answer: str, facts: Facts) -> bool:
    """Whether a decimal differs by at most one unit of the last place that the data set has."""
    difficulty = facts.get("difficulty")
    bounds = cast("dict[str, object]", difficulty) if isinstance(difficulty, dict) else {}
    places = _entries(bounds.get("decimal_places"))[-1:]
    if not places or not isinstance(places[0], int) or not 0 <= places[0] <= 40:
        return False
    if not (_DECIMAL.fullmatch(given) and _DECIMAL.fullmatch(answer)):
        return False
    try:
        return abs(Decimal(given) - Decimal(answer)) <= Decimal(10) ** -places[0]
    except InvalidOperation:
        return False


def _entries(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _fraction(text: str) -> Fraction | None:
    if not _FRACTION.fullmatch(text):
        return None
    try:
        return Fraction(text)
    except ZeroDivisionError:
        return None


CHECKERS: Final[dict[str, Callable[[str, str, Facts], bool]]] = {
    "coin_flip": _is_near_probability,
    "countdown": _makes_target,
    "decimal_arithmetic": _is_near_decimal,
    "puzzle24": _makes_target,
}
_DECIMAL = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?", re.ASCII)
_FRACTION = re.compile(r"[0-9]{1,40}(?:\.[0-9]{1,40}|/[0-9]{1,40})?", re.ASCII)
