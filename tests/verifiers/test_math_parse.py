"""Times of day."""

import pytest

from nemo_gym.verifiers.math import equal

EQUAL = [  # prediction, gold
    (r"2{:}30\text{ p.m.}", "2:30 PM"),
    (r"2:30\text{ PM}", "2:30 PM"),
    ("14:30", "2:30 PM"),
    ("2:30", "2:30 PM"),
    ("3:00 PM", "3 PM"),
    (r"3\text{ p.m.}", "3 PM"),
    ("10:20", "1:2"),
    ("9 am", r"9:00\text{ a.m.}"),
    ("0:30", "12:30 AM"),
]

UNEQUAL = [  # prediction, gold
    ("3:16", "3:15"),
    ("15:3", "3:15"),
    ("1:15", "2:30"),
    (r"2:30\text{ AM}", "2:30 PM"),
    ("14:30", "2:30 AM"),
    ("4 PM", "3 PM"),
    ("2:00", "4:00"),
    ("13:0", "6:30"),
    ("1:2", "10:20"),
    (r"3\text{ hours}", "3 PM"),
    ("9:00 pm", r"9:00\text{ a.m.}"),
    ("12:30 PM", "12:30 AM"),
]


@pytest.mark.parametrize(("prediction", "gold"), EQUAL)
def test_an_equal_answer_is_accepted(prediction, gold):
    assert equal(prediction, gold)


@pytest.mark.parametrize(("prediction", "gold"), UNEQUAL)
def test_an_unequal_answer_is_refused(prediction, gold):
    assert not equal(prediction, gold)
