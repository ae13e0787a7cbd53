"""Sets of real numbers in their many spellings."""

import pytest

from nemo_gym.verifiers.math import equal, regions
from nemo_gym.verifiers.math.evaluate import Budget
from nemo_gym.verifiers.math.parse import read

EQUAL = [  # prediction, gold
    ("x>2", r"\{x\mid x>2\}"),
    (r"(2,\infty)", r"\{x : x > 2\}"),
    (r"\mathbb{R}\setminus\{1\}", r"\{x\in\mathbb{R}\mid x\ne 1\}"),
    (r"(-\infty,1)\cup(2,\infty)", r"\{x | x<1 \text{ or } x>2\}"),
    (r"(-\infty,1)\cup(1,\infty)", r"x\neq 1"),
    (r"(-\infty,1)\cup(1,2)\cup(2,\infty)", r"\mathbb{R}\setminus\{1,2\}"),
    (r"x\ne0", r"\mathbb R\setminus\{0\}"),
    (r"\mathbb{R}\setminus\{0\}", r"\mathbb{R}-\{0\}"),
    (r"(-\infty,3)", r"(-\infty,1]\cup(1,3)"),
    ("[0,2]", r"[0,1]\cup[1,2]"),
    ("[1,3]", r"[0,3]\cap[1,5]"),
    (r"\{1,2,3\}", r"\{1,2\}\cup\{3\}"),
    (r"\{b,a\}", r"\{a,b\}"),
    (r"\{1,2\}", r"\{1,2,2\}"),
    (r"\text{no solution}", r"\emptyset"),
    (r"\{\}", r"\varnothing"),
    (r"\mathbb{R}", r"\text{all real numbers}"),
    ("2, 3", r"\{2,3\}"),
    (r"\{3,2\}", r"2\text{ and }3"),
    ("(-1,4]", r"\{x\mid -1<x\le 4\}"),
    (r"\{3,0.5\}", r"\left\{\frac12,3\right\}"),
    ("(1,2),(3,4)", r"\{(1,2),(3,4)\}"),
    (r"\{1\}\cup(2,\infty)\cup(-\infty,0)", r"(-\infty,0)\cup\{1\}\cup(2,\infty)"),
    (r"\{2k \mid k\in\mathbb{Z}\}", r"\{2k : k\in\mathbb{Z}\}"),
    (r"1\le x<2", "[1,2)"),
    ("[1,2)", "[1,2["),
    ("(1,2]", "]1,2]"),
    (r"(-\infty,1)\cup(2,\infty)", r"]-\infty,1[\cup]2,+\infty["),
    (r"(2,\infty)", r"(2,+\infty)"),
    ("x>2", r"x\in(2,\infty)"),
    ("-2<x<2", "(-2,2)"),
    (r"(0.5,\sqrt{2})", r"\left(\frac12,\sqrt2\right)"),
    (r"[2,\infty)", r"x\geqslant 2"),
    (r"x\ge2", r"2\leq x"),
    (r"x\le-1\text{ or }x\ge1", r"(-\infty,-1]\cup[1,\infty)"),
    (r"0\le\theta\le\pi", r"[0,\pi]"),
    ("[1,2]", "[1;2]"),
    (r"(3,4)\cup(1,2)", r"(1,2)\cup(3,4)"),
    (r"x>1,\ x\neq2", r"x>1, x\ne 2"),
    (r"(4,\infty)", "k>4"),
]

UNEQUAL = [  # prediction, gold
    (r"[2,\infty)", r"\{x : x > 2\}"),
    (r"(-\infty,1)\cup(3,\infty)", r"\{x | x<1 \text{ or } x>2\}"),
    (r"\mathbb{R}\setminus\{1\}", r"\mathbb{R}\setminus\{1,2\}"),
    (r"(-\infty,3)", r"(-\infty,1)\cup(1,3)"),
    ("[0,2]", r"[0,1)\cup(1,2]"),
    ("[0,5]", r"[0,3]\cap[1,5]"),
    (r"\{1,2,3\}", r"\{1,2\}"),
    (r"\{1,2\}", r"\{1,2,3\}"),
    ("0", r"\emptyset"),
    (r"\{0\}", r"\emptyset"),
    (r"\{\emptyset\}", r"\emptyset"),
    (r"\mathbb{Z}", r"\mathbb{R}"),
    (r"\mathbb{R}\setminus\{0\}", r"\mathbb{R}"),
    ("(2,3)", r"\{2,3\}"),
    ("[-1,4)", r"\{x\mid -1<x\le 4\}"),
    ("(2,1),(3,4)", r"\{(1,2),(3,4)\}"),
    (r"\{2k+1 \mid k\in\mathbb{Z}\}", r"\{2k : k\in\mathbb{Z}\}"),
    (r"1<x\le2", "[1,2)"),
    ("[1,2]", "]1,2]"),
    (r"(-\infty,2)", r"(2,\infty)"),
    ("x<2", "x>2"),
    ("x>-2", "x>2"),
    ("(1,2]", "(1,2)"),
    (r"(2,\infty)", r"[2,\infty)"),
    (r"[2,\infty]", r"[2,\infty)"),
    ("1<y<2", "1<x<2"),
    (r"x\le-1\text{ and }x\ge1", r"(-\infty,-1]\cup[1,\infty)"),
    (r"[1,\infty)", r"(-\infty,-1]\cup[1,\infty)"),
    ("(b,a)", "(a,b)"),
]


@pytest.mark.parametrize(("prediction", "gold"), EQUAL)
def test_an_equal_answer_is_accepted(prediction, gold):
    assert equal(prediction, gold)


@pytest.mark.parametrize(("prediction", "gold"), UNEQUAL)
def test_an_unequal_answer_is_refused(prediction, gold):
    assert not equal(prediction, gold)


@pytest.mark.parametrize(
    "answer",
    [
        r"\{" + ",".join(rf"{n},-{n}" for n in range(1, 150)) + r"\}",
        r"\cup".join(f"({n},{n + 1})" for n in range(120)),
        r"\cap".join(f"(-{n},{n})" for n in range(1, 120)),
        ",".join(f"x\\ne{n}" for n in range(120)),
    ],
)
def test_joining_many_sets_takes_few_comparisons(answer, monkeypatch):
    comparisons = 0
    same_place = regions._same_place

    def counted(left: regions.Break, right: regions.Break) -> bool:
        nonlocal comparisons
        comparisons += 1
        return same_place(left, right)

    monkeypatch.setattr(regions, "_same_place", counted)
    node = read(answer)[-1]
    regions.Regions(Budget()).read(node)
    assert comparisons < 20_000
