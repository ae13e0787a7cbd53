"""Plain Python values, compared with the expected ones by their exact types."""

from __future__ import annotations

import math
from typing import Any, cast

MAX_DEPTH = 60


def same_value(value: object, expected: object, *, tolerance: float = 0.0, alike: bool = False) -> bool:
    """Whether a value equals the expected one and has its type.

    Args:
        tolerance: the largest difference of two floats, absolute or relative.
        alike: whether a tuple is as good as a list, as in JSON, which has no tuples.

    A bool is no number. A whole number is taken where a float is expected, but not the other way round.
    """
    return _same(value, expected, tolerance, alike, 0)


def _same(value: Any, expected: Any, tolerance: float, alike: bool, depth: int) -> bool:
    kind, right = cast("type[object]", type(value)), cast("type[object]", type(expected))
    if depth > MAX_DEPTH:
        return False
    if right is float:
        return kind in (int, float) and _close(value, expected, tolerance)
    if right in (list, tuple):
        if kind is not right and not (alike and kind in (list, tuple)):
            return False
        pairs = zip(value, expected, strict=False)
        return len(value) == len(expected) and all(
            _same(one, other, tolerance, alike, depth + 1) for one, other in pairs
        )
    if kind is not right:
        return False
    if right is dict:
        if len(value) != len(expected) or _kinds(value) != _kinds(expected):
            return False
        return all(
            key in value and _same(value[key], expected[key], tolerance, alike, depth + 1) for key in expected
        )
    if right is complex:
        return value == expected or abs(value - expected) <= tolerance * max(1.0, abs(expected))
    if right in (set, frozenset):
        return value == expected and _kinds(value) == _kinds(expected)
    return right in (type(None), bool, int, str, bytes) and value == expected


def _close(value: float, expected: float, tolerance: float) -> bool:
    if math.isnan(expected):
        return math.isnan(value)
    try:
        return value == expected or math.isclose(value, expected, rel_tol=tolerance, abs_tol=tolerance)
    except OverflowError:  # The whole number is larger than every float.
        return False


def _kinds(values: Any) -> list[str]:
    return sorted(type(each).__name__ for each in values)
