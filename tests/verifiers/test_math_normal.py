"""Matrices, and signs that stand for two values."""

import pytest

from nemo_gym.verifiers.math import equal

EQUAL = [  # prediction, gold
    ("[[1,2],[3,4]]", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}"),
    (r"\begin{pmatrix}1&2\cr 3&4\end{pmatrix}", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}"),
    ("(1,2,3)^T", r"\begin{bmatrix}1\\2\\3\end{bmatrix}"),
    (r"2\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}2\\4\end{pmatrix}"),
    (r"\begin{pmatrix}1/2&1\\3/2&2\end{pmatrix}", r"\frac12\begin{pmatrix}1&2\\3&4\end{pmatrix}"),
    (r"\begin{pmatrix}-1&-2\\-3&-4\end{pmatrix}", r"-\begin{pmatrix}1&2\\3&4\end{pmatrix}"),
    ("6", r"\begin{vmatrix}2&0\\0&3\end{vmatrix}"),
    ("5", r"\det\begin{pmatrix}2&1\\1&3\end{pmatrix}"),
    (
        r"\begin{bmatrix}1\\1\end{bmatrix}",
        r"\begin{bmatrix}1\\0\end{bmatrix}+\begin{bmatrix}0\\1\end{bmatrix}",
    ),
    (r"\begin{pmatrix}1&3\\2&4\end{pmatrix}", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}^T"),
    (r"\begin{bmatrix}a & b \\ c & d\end{bmatrix}", r"\begin{pmatrix}a&b\\c&d\end{pmatrix}"),
    (
        r"\begin{pmatrix}1&2\\3&4\end{pmatrix}",
        r"\begin{pmatrix}1&0\\0&1\end{pmatrix}\begin{pmatrix}1&2\\3&4\end{pmatrix}",
    ),
    (r"\begin{pmatrix}1&2\\0&1\end{pmatrix}", r"\frac{1}{5}\begin{pmatrix}5&10\\0&5\end{pmatrix}"),
    (r"2\langle 1,2\rangle", r"\langle 2,4\rangle"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\left(\begin{array}{c}1\\2\end{array}\right)"),
    (r"\begin{pmatrix}k\\2k\end{pmatrix}", r"k\begin{pmatrix}1\\2\end{pmatrix}"),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&2\\3&4\\\end{pmatrix}"),
    (
        r"\begin{bmatrix}1\\2\end{bmatrix}",
        r"\begin{bmatrix}x\\y\end{bmatrix}=\begin{bmatrix}1\\2\end{bmatrix}",
    ),
    ("-2,2", r"\pm2"),
    (r"\pm\sqrt3", r"x=\pm\sqrt3"),
    (r"3-\sqrt2,3+\sqrt2", r"3\pm\sqrt2"),
    ("i,-i", r"\pm i"),
    (r"\frac32\pm\frac{\sqrt5}{2}", r"\frac{3\pm\sqrt5}{2}"),
    ("1,-1,2,-2", r"\pm1,\pm2"),
    (r"\pm2", r"\{-2,2\}"),
    (r"2+i,\ 2-i", r"x=2\pm i"),
    (r"\pm 2", r"\mp 2"),
]

UNEQUAL = [  # prediction, gold
    ("[[1,3],[2,4]]", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}"),
    ("[[1,2],[3,4]]", "[1,2],[3,4]"),
    (r"3\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}2\\4\end{pmatrix}"),
    (r"\begin{pmatrix}1&2\\3&5\end{pmatrix}", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}"),
    (r"\begin{pmatrix}1&2&0\\3&4&0\end{pmatrix}", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}"),
    ("-6", r"\begin{vmatrix}2&1\\0&3\end{vmatrix}"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1&2\end{pmatrix}"),
    ("(2,1)", r"\begin{pmatrix}1\\2\end{pmatrix}"),
    ("10", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}"),
    ("2", r"\pm2"),
    (r"\pm2", "2"),
    (r"3+\sqrt2", r"3\pm\sqrt2"),
    (r"\frac{-3\pm\sqrt5}{2}", r"\frac{3\pm\sqrt5}{2}"),
]


@pytest.mark.parametrize(("prediction", "gold"), EQUAL)
def test_an_equal_answer_is_accepted(prediction, gold):
    assert equal(prediction, gold)


@pytest.mark.parametrize(("prediction", "gold"), UNEQUAL)
def test_an_unequal_answer_is_refused(prediction, gold):
    assert not equal(prediction, gold)
