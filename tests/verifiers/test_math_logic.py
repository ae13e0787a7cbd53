"""Statements of propositional logic."""

import pytest

from nemo_gym.verifiers.math import equal

EQUAL = [  # prediction, gold
    (r"q\land p", r"p\land q"),
    (r"\neg p\lor\neg q", r"\neg(p\land q)"),
    (r"\neg p\lor q", r"p\to q"),
    (r"p\Rightarrow q", r"p\to q"),
    (r"p \land q", r"p\wedge q"),
    (r"q\leftrightarrow p", r"p \leftrightarrow q"),
    (r"(p\land r)\lor(q\land r)", r"(p\lor q)\land r"),
    ("1,2", r"x=1\lor x=2"),
    ("(1,2)", r"x=1\land y=2"),
    (r"(-\infty,1)\cup(2,\infty)", r"x<1\lor x>2"),
    ("(1,2)", r"x>1\land x<2"),
]

UNEQUAL = [  # prediction, gold
    (r"p\lor q", r"p\land q"),
    ("p, q", r"p\land q"),
    (r"\neg p\land\neg q", r"\neg(p\land q)"),
    (r"q\to p", r"p\to q"),
    (r"\neg p", "p"),
    (r"p\text{ and }q", r"p\lor q"),
    (r"p\lor (q\land r)", r"(p\lor q)\land r"),
    (r"x=2\land y=1", r"x=1\land y=2"),
    (r"(-\infty,1)\cup(2,\infty)", r"x<1\land x>2"),
]


@pytest.mark.parametrize(("prediction", "gold"), EQUAL)
def test_an_equal_answer_is_accepted(prediction, gold):
    assert equal(prediction, gold)


@pytest.mark.parametrize(("prediction", "gold"), UNEQUAL)
def test_an_unequal_answer_is_refused(prediction, gold):
    assert not equal(prediction, gold)
