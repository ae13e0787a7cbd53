"""Our verdicts and those of math-verify on the labelled list. Prints both figures and every error of each.

Run by `make test-agreement-mathematics`.
"""

from __future__ import annotations

import pytest
from math_verify import parse, verify

from nemo_gym.verifiers.math import grade
from tests.agreement.labelled_pairs import Pair, labelled_pairs

PAIRS = labelled_pairs()


def text_of(pair: Pair) -> str:
    return f"So the answer is \\boxed{{{pair.answer}}}"


def report(name: str, errors: list[Pair]) -> None:
    paid = [pair for pair in errors if not pair.right]
    right = len(PAIRS) - len(errors)
    print(
        f"{name}: {right} of {len(PAIRS)} right ({100 * right / len(PAIRS):.1f} %), {len(paid)} paid wrongly"
    )
    for pair in errors:
        verdict = "refused, is right" if pair.right else "paid, is wrong"
        print(f"  {pair.family:<18} {verdict:<18} expected {pair.expected}   answer {pair.answer}")


def test_ours_pays_nothing_wrong_and_refuses_at_most_two_percent(capsys: pytest.CaptureFixture[str]) -> None:
    errors = [pair for pair in PAIRS if bool(grade(text_of(pair), pair.expected).score) != pair.right]
    with capsys.disabled():
        print()
        report("ours", errors)
    assert all(pair.right for pair in errors)
    assert len(errors) <= 0.02 * len(PAIRS)


def test_the_figure_of_math_verify_stands_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    errors: list[Pair] = []
    for pair in PAIRS:
        gold = parse(f"${pair.expected}$")
        if verify(gold, parse(text_of(pair))) != pair.right:
            errors.append(pair)
    with capsys.disabled():
        print()
        report("math-verify", errors)
    assert len(PAIRS) == 1500
