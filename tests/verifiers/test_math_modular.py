"""Residues."""

from nemo_gym.verifiers.math import equal

EQUAL = [  # prediction, gold
    ("5", r"5 \pmod 7"),
    (r"x \equiv 5 \pmod 7", r"5 \pmod{7}"),
    (r"x \equiv 5 \bmod 7", r"x\equiv 5 \pmod{7}"),
    (r"x \equiv 5\ (\text{mod } 7)", r"x\equiv 5 \pmod{7}"),
    (r"x \equiv -2 \pmod 3", r"x \equiv 1 \pmod 3"),
    (r"x \equiv 2, 1 \pmod{3}", r"x \equiv 1, 2 \pmod 3"),
    (r"x \equiv \pm 1 \pmod{3}", r"x \equiv 1, 2 \pmod 3"),
    ("5", r"x \equiv 5 \pmod 7"),
]

UNEQUAL = [  # prediction, gold
    (r"x \equiv 5 \pmod 9", r"x \equiv 5 \pmod 7"),
    (r"x \equiv 3 \pmod 7", r"x \equiv 5 \pmod 7"),
    (r"4 \pmod 7", "5"),
    (r"12 \pmod 7", "5"),
    (r"x \equiv 5,6 \pmod 7", r"x \equiv 5 \pmod 7"),
    (r"x \equiv 1 \pmod 6", r"x \equiv 1 \pmod 3"),
    (r"x \equiv 2 \pmod 3", r"x \equiv 1 \pmod 3"),
    ("x = 4", r"x \equiv 1 \pmod 3"),
    (r"x \not\equiv 1 \pmod 3", r"x \equiv 1 \pmod 3"),
    (r"x \equiv 1 \text{ or } 2 \pmod 3", r"x \equiv 1 \pmod 3"),
    (r"y \equiv 1 \pmod 3", r"x \equiv 1 \pmod 3"),
    (r"x \equiv 1 \pmod 3", "1"),
    ("x = 5", r"x \equiv 5 \pmod 7"),
]


def test_equal_answers_are_accepted():
    assert [pair for pair in EQUAL if not equal(*pair)] == []


def test_unequal_answers_are_refused():
    assert [pair for pair in UNEQUAL if equal(*pair)] == []
