"""What a program printed, compared with what it should print: line by line, numbers with a tolerance."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Final

TOLERANCE: Final = 1e-6
"""The largest difference of two numbers, absolute or relative, when the expected one has a decimal point."""
_MAX_DIGITS: Final = 400
"""The most characters of a number; a longer one is compared as text."""


def same_output(output: str, expected: str) -> bool:
    """Whether two outputs agree: the same lines, without the blanks at their ends and the blank lines at the
    end of the text, and in each line the same words."""
    left, right = _lines(output), _lines(expected)
    return len(left) == len(right) and all(map(_same_line, left, right))


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


def _same_line(left: str, right: str) -> bool:
    if left == right:
        return True
    words, expected = left.split(), right.split()
    return len(words) == len(expected) and all(map(_same_word, words, expected))


def _same_word(word: str, expected: str) -> bool:
    if word == expected:
        return True
    if max(len(word), len(expected)) > _MAX_DIGITS or not (_is_number(word) and _is_number(expected)):
        return False
    if Decimal(word) == Decimal(expected):
        return True
    left, right = float(word), float(expected)
    return (
        ("." in expected or "e" in expected.lower())
        and math.isfinite(left)
        and math.isclose(left, right, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    )


_NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?")


def _is_number(word: str) -> bool:
    return _NUMBER.fullmatch(word) is not None
