"""The labelled list of mathematical answers: nothing wrong pays, at most 2% of the right ones are refused."""

from __future__ import annotations

from nemo_gym.verifiers.math import grade
from tests.agreement.labelled_pairs import SIZE, labelled_pairs


def test_the_verdicts_are_those_of_the_list() -> None:
    pairs = labelled_pairs()
    assert len(set(pairs)) == SIZE
    errors = [
        pair for pair in pairs if bool(grade(f"\\boxed{{{pair.answer}}}", pair.expected).score) != pair.right
    ]
    assert [pair for pair in errors if not pair.right] == []
    assert len(errors) <= 0.02 * SIZE
