"""Answers in words that name something."""

from nemo_gym.verifiers.math import equal

EQUAL = [  # prediction, gold
    (r"\text{no solution}", r"\varnothing"),
    (r"\varnothing", r"\text{No real solutions}"),
    (r"\text{all real numbers except } 3", r"(-\infty, 3) \cup (3, \infty)"),
    (r"\text{all real numbers}", r"\mathbb{R}"),
    (r"-\infty", r"-\infty"),
    (r"+\infty", r"\infty"),
    (r"\text{infinity}", r"\infty"),
    (r"\text{Infinity}", r"\infty"),
    (r"\text{negative infinity}", r"-\infty"),
    (r"\text{infinitely many solutions}", r"\text{infinitely many}"),
    (r"\text{Undefined}", r"\text{undefined}"),
    (r"\text{does not exist}", r"\text{DNE}"),
    ("DNE", r"\text{does not exist}"),
    (r"\text{The limit does not exist}", r"\text{does not exist}"),
    (r"\text{infinite}", r"\infty"),
    (r"\text{noon}", r"12:00 \text{ p.m.}"),
    (r"\text{seven}", "7"),
    (r"\text{two thirds}", r"\frac{2}{3}"),
    ("one half", "0.5"),
    ("7", r"\text{seven}"),
]

UNEQUAL = [  # prediction, gold
    (r"-\infty", r"\infty"),
    (r"\pm\infty", r"\infty"),
    ("10^{100}", r"\infty"),
    (r"\text{undefined}", r"\infty"),
    ("0", r"\text{does not exist}"),
    (r"\text{defined}", r"\text{undefined}"),
    (r"\text{finite}", r"\infty"),
    (r"\text{exists}", r"\text{does not exist}"),
    (r"\frac{1}{\infty}", "0"),
    (r"\exists x\, P(x)", r"\forall x\, P(x)"),
    (r"\exists 5", "5"),
    (r"\text{no solution or }5", r"\text{no solution}"),
    (r"\text{one solution}", r"\text{no solution}"),
    (r"\text{not no solution}", r"\text{no solution}"),
    (r"\text{infinitely many solutions}", r"\text{no solution}"),
    ("0", r"\text{no solution}"),
    (r"\text{finitely many}", r"\text{infinitely many}"),
    (r"\text{does exist}", r"\text{does not exist}"),
    (r"\infty", r"\text{does not exist}"),
    (r"\text{no real numbers}", r"\mathbb{R}"),
    (r"\text{all real numbers except }0", r"\mathbb{R}"),
    (r"\text{not all real numbers}", r"\mathbb{R}"),
    (r"\text{midnight}", r"\text{noon}"),
    (r"\text{afternoon}", r"\text{noon}"),
    (r"\text{noon}", r"12:00\text{ a.m.}"),
    ("8", r"\text{seven}"),
    (r"\text{seventy}", "7"),
    (r"\text{seven or eight}", "7"),
    (r"\text{not seven}", "7"),
    (r"\text{infinity}", r"-\infty"),
    (r"\text{not infinity}", r"\infty"),
    (r"\text{negative infinity}", r"\infty"),
    (r"\text{infinity}", r"\text{does not exist}"),
    (r"\text{not infinitely many}", r"\text{infinitely many}"),
    (r"\infty", r"\text{infinitely many}"),
]


def test_equal_answers_are_accepted():
    assert [pair for pair in EQUAL if not equal(*pair)] == []


def test_unequal_answers_are_refused():
    assert [pair for pair in UNEQUAL if equal(*pair)] == []
