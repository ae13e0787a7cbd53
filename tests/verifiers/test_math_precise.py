"""Large closed forms, to the last digit."""

import pytest

from nemo_gym.verifiers.math import equal

EQUAL = [  # prediction, gold
    (r"2\cdot2^{999}-1", "2^{1000}-1"),
    (r"\frac{3^{100}}{2}-\frac{1}{2}", r"\frac{3^{100}-1}{2}"),
    ("792070839848372253127", r"\left(\frac{1+\sqrt5}{2}\right)^{100}+\left(\frac{1-\sqrt5}{2}\right)^{100}"),
    (r"e^{50}\cdot e^{50}", "e^{100}"),
    ("-1+x^{2005}", "x^{2005}-1"),
    (r"\frac{1-x^{2024}}{1-x}", r"\frac{x^{2024}-1}{x-1}"),
    ("100^{500}", "10^{1000}"),
    ("200", "200!/199!"),
    ("2024", r"\frac{2024!}{2023!}"),
    (r"\frac{100!}{50!50!}", r"\binom{100}{50}"),
    ("4^{5000}", "2^{10000}"),
    ("5000", r"\log_2 2^{5000}"),
    (r"(2-\sqrt3)^{100}+(2+\sqrt3)^{100}", r"(2+\sqrt3)^{100}+(2-\sqrt3)^{100}"),
    (r"10^{500}\sqrt2", r"\sqrt{2}\cdot10^{500}"),
    ("1+n^{100}", "n^{100}+1"),
    (r"\frac{365^{100}-364^{100}}{365^{100}}", r"1-\left(\frac{364}{365}\right)^{100}"),
    (r"\frac{2n^3+3n^2+n}{6}", r"\frac{n(n+1)(2n+1)}{6}"),
    ("2(2^n-1)", "2^{n+1}-2"),
    (r"a\frac{r^{100}-1}{r-1}", r"\frac{a(1-r^{100})}{1-r}"),
    ("-i", "i^{2023}"),
    ("-1", "(-1)^{2023}"),
    ("5050", r"\sum_{k=1}^{100}k"),
    ("120", r"\prod_{k=1}^{5}k"),
    (r"\sum_{i=1}^n i", r"\sum_{k=1}^n k"),
]

UNEQUAL = [  # prediction, gold
    ("2^{1000}+1", "2^{1000}-1"),
    (r"\frac{3^{100}+1}{2}", r"\frac{3^{100}-1}{2}"),
    ("792070839848372253128", r"\left(\frac{1+\sqrt5}{2}\right)^{100}+\left(\frac{1-\sqrt5}{2}\right)^{100}"),
    ("e^{100}+1", "e^{100}"),
    ("x^{2004}-1", "x^{2005}-1"),
    ("10^{999}", "10^{1000}"),
    ("2023", r"\frac{2024!}{2023!}"),
    ("4^{5000}+1", "2^{10000}"),
    (r"10^{500}\sqrt2+1", r"\sqrt{2}\cdot10^{500}"),
    ("2^{n}-2", "2^{n+1}-2"),
    ("i", "i^{2023}"),
    ("5051", r"\sum_{k=1}^{100}k"),
    (r"\sum_{i=0}^{n-1} i", r"\sum_{k=1}^n k"),
]


@pytest.mark.parametrize(("prediction", "gold"), EQUAL)
def test_an_equal_answer_is_accepted(prediction, gold):
    assert equal(prediction, gold)


@pytest.mark.parametrize(("prediction", "gold"), UNEQUAL)
def test_an_unequal_answer_is_refused(prediction, gold):
    assert not equal(prediction, gold)
