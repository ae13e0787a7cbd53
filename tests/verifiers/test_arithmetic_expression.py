"""Arithmetic expressions of models."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.environments.conformance.hostile import HOSTILE_TEXTS
from nemo_gym.verifiers.arithmetic_expression import read_expression


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2 + 3 * 4", 14),
        ("(2 + 3) * 4", 20),
        ("8 / (3 - 8 / 3)", 24),
        ("10 - 4 - 3", 3),
        ("16 / 4 / 2", 2),
        ("1 / 3", Fraction(1, 3)),
        (r"2 \times 3 \cdot 4 \div 6", 4),
        (r"\left( 2 + 3 \right) × 4", 20),
        ("7 − 2", 5),
        ("((7))", 7),
    ],
)
def test_the_value_is_exact(text: str, value: int | Fraction) -> None:
    expression = read_expression(text)
    assert expression is not None
    assert expression.value == value


def test_the_numbers_are_in_their_order() -> None:
    expression = read_expression("10 * (3 - 3) + 2")
    assert expression is not None
    assert expression.numbers == (10, 3, 3, 2)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "1 +", "+ 1", "-1", "1 2", "1 + 2 3", "(1", "1)", "()", "1 / 0", "1 / (2 - 2)", "2 ** 3",
        "2 ^ 3",
        "2(3)", "1.5", "1e9", "x", "1 + x", "1 = 1", "1 // 2", "1; 2", "１ + ２", r"\frac{1}{2}",
        "1234567890123",
        "__import__('os')",
        "(" * 200 + "1" + ")" * 200, "(" * 33 + "1" + ")" * 33, "1+" * 250 + "1", "1+" * 100 + "1",
    ],
)  # fmt: skip
def test_any_other_text_is_none(text: str) -> None:
    assert read_expression(text) is None


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS.keys())
def test_hostile_text_is_none(text: str) -> None:
    assert read_expression(text) is None


NUMBERS = st.integers(0, 999).map(str)
EXPRESSIONS = st.recursive(
    NUMBERS,
    lambda part: st.tuples(part, st.sampled_from("+-*/"), part).map(" ".join).map("({})".format),
    max_leaves=12,
)


@given(EXPRESSIONS)
def test_it_agrees_with_python(text: str) -> None:
    tokens = text.replace("(", " ( ").replace(")", " ) ").split()
    source = "".join(f"Fraction({token})" if token.isdigit() else token for token in tokens)
    try:
        value = eval(source, {"Fraction": Fraction})
    except ZeroDivisionError:
        value = None
    expression = read_expression(text)
    assert (expression and expression.value) == value
