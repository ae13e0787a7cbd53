"""Plain values that are the same, and that only look alike."""

from typing import Any

import pytest

from nemo_gym.verifiers.plain_values import same_value


class Same(int):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


@pytest.mark.parametrize(
    "value", [None, True, 3, 2.5, "a", b"a", [1, [2]], (1, 2), {"a": [1]}, {1, 2}, 2j, float("nan"), 10**400]
)
def test_a_value_is_the_same_as_itself(value: Any) -> None:
    assert same_value(value, value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, 1),
        (1, True),
        (2.0, 2),
        (Same(0), 6),
        ([Same(0)], [6]),
        ("1", 1),
        ((1, 2), [1, 2]),
        ([1], [1, 1]),
        ({"a": True}, {"a": 1}),
        ({True: 1}, {1: 1}),
        ({1.0}, {1}),
        (10**400, 1.5),
        (float("nan"), 1.0),
        (None, 0),
    ],
)
def test_a_look_alike_is_not(value: Any, expected: Any) -> None:
    assert not same_value(value, expected, tolerance=1e-6)


def test_tolerance_and_series() -> None:
    assert same_value([1.0000001], [1.0], tolerance=1e-6)
    assert not same_value([1.0000001], [1.0])
    assert same_value(2, 2.0)
    assert same_value(((1, 2),), [[1, 2]], alike=True)
