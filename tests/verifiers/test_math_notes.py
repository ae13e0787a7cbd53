"""Notes on where an answer holds."""

import pytest

from nemo_gym.verifiers.math import equal

EQUAL = [  # prediction, gold
    (r"x+1, x\neq1", "x+1"),
    (r"x+1 \text{ for } x\ne1", "x+1"),
    (r"x+1 \ (x\neq 1)", "x+1"),
    ("x+1", r"x+1, x\neq1"),
    (r"\frac{\pi}{4}+n\pi, n\in\mathbb{Z}", r"\frac{\pi}{4}+k\pi, k\in\mathbb{Z}"),
    (r"\frac{\pi}{4}+k\pi", r"\frac{\pi}{4}+k\pi, k\in\mathbb{Z}"),
    (r"\ln x,\ x>0", r"\ln x"),
    (r"\frac1x", r"\frac{1}{x}, x\ne0"),
    (r"\frac{x+1}{x-2}\text{ where }x\neq2", r"\frac{x+1}{x-2}"),
    (r"y=x+1, x\ne0", "y=x+1"),
    (r"\sqrt{x}\text{ where }x\ge0", r"\sqrt{x}"),
    (r"2n+1,\ n\in\mathbb{N}", r"2n+1, n\in\mathbb{N}"),
    (r"\frac{1}{x-1}", r"\frac{1}{x-1}\quad(x\neq1)"),
    (r"x+2,\quad x\neq 2", "x+2"),
]

UNEQUAL = [  # prediction, gold
    (r"x-1, x\neq1", "x+1"),
    (r"\frac{\pi}{4}+2k\pi, k\in\mathbb{Z}", r"\frac{\pi}{4}+k\pi, k\in\mathbb{Z}"),
    (r"x,\ x>0", "x"),
    (r"5, x\neq3", "5"),
    (r"x+1, x\ne2", r"x+1, x\ne1"),
    (r"x\text{ if }x>0", "|x|"),
    (r"x^2\text{ or }x^3, x\ne0", "x^2"),
    (r"3, 4, x\ne1", "3"),
    ("x+1, x<0", "x+1, x>0"),
]


@pytest.mark.parametrize(("prediction", "gold"), EQUAL)
def test_an_equal_answer_is_accepted(prediction, gold):
    assert equal(prediction, gold)


@pytest.mark.parametrize(("prediction", "gold"), UNEQUAL)
def test_an_unequal_answer_is_refused(prediction, gold):
    assert not equal(prediction, gold)
