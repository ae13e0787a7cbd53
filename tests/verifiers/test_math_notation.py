"""Rarer notation."""

from nemo_gym.verifiers.math import equal

EQUAL = [  # prediction, gold
    (r"0.\overline{142857}", r"\frac{1}{7}"),
    (r"0.1\overline{6}", r"\frac{1}{6}"),
    (r"\frac{12}{99}", r"0.\overline{12}"),
    (r"\frac{4}{33}", r"0.\overline{12}"),
    (r"0.\dot{3}", r"\frac{1}{3}"),
    (r"0.\bar{3}", r"\frac{1}{3}"),
    (r"0.333\ldots", r"\frac{1}{3}"),
    ("0.333...", r"\frac{1}{3}"),
    (r"0.3333\dots", r"\frac{1}{3}"),
    (r"0.121212\ldots", r"\frac{4}{33}"),
    (r"0.1666\ldots", r"\frac{1}{6}"),
    ("0.(3)", r"\frac{1}{3}"),
    (r"0.\overline{9}", "1"),
    (r"1.2343434\ldots", r"1.2\overline{34}"),
    (r"-0.\overline{3}", r"-\frac{1}{3}"),
    ("25 per cent", r"25\%"),
    (r"22^\circ 30'", r"22.5^\circ"),
    (r"2014 \text{ (base 5)}", "2014_5"),
    (r"2014 \text{ base } 5", "2014_5"),
    (r"\frac{x^3}{3} + \text{constant}", r"\frac{x^3}{3} + C"),
    (r"f^{\prime}(x)", "f'(x)"),
    (r"3\text{ out of }8", r"\frac{3}{8}"),
    (r"x = 2 \text{ (only)}", "2"),
    (r"\text{I and III only}", r"\text{I and III}"),
    (r"\frac{dy}{dx} = 4x^3-2x", "4x^3-2x"),
    ("1.999...", "2"),
]

UNEQUAL = [  # prediction, gold
    ("0.333", r"\frac{1}{3}"),
    (r"0.3\ldots5", r"\frac{1}{3}"),
    (r"0.\overline{12}", r"\frac{12}{100}"),
    ("0.12", r"0.\overline{12}"),
    (r"0.1\overline{2}", r"0.\overline{12}"),
    (r"0.333\ldots", "0.3"),
    (r"3.14159\ldots", r"\pi"),
    (r"0.142\ldots", r"\frac{1}{7}"),
    (r"3\text{ out of }9", r"\frac{3}{8}"),
    ("0.34...", r"\frac13"),
    ("0.332...", r"\frac13"),
    ("0.333...4", r"\frac13"),
    (r"0.333\ldots\text{ or }0.34", r"\frac13"),
    ("1, 3, 5, ...", "1, 3, 5"),
    ("5, ...", "5"),
    ("5...", "5"),
    ("...5", "5"),
    ("5.0...1", "5"),
    (r"5 \text{ out of } 6", "5"),
    (r"\text{one out of }5", "5"),
    (r"5\text{ out of }6\text{ or }7", r"\frac56"),
    (r"22^\circ 50'", r"22.5^\circ"),
    (r"22^\circ 30'", r"22^\circ"),
    (r"101\text{ base }3", "101_2"),
    (r"100\text{ base }2", "101_2"),
]


def test_equal_answers_are_accepted():
    assert [pair for pair in EQUAL if not equal(*pair)] == []


def test_unequal_answers_are_refused():
    assert [pair for pair in UNEQUAL if equal(*pair)] == []
