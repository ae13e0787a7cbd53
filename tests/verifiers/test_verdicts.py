from __future__ import annotations

import pytest

from nemo_gym.environments.conformance.hostile import HOSTILE_TEXTS
from nemo_gym.verifiers.verdicts import data_block, one_label, read_scores

EQUALITY, GRADES, LETTERS = ("[[A=B]]", "[[A!=B]]"), ("C", "I"), ("A", "B", "C")
RANGES = {"score": (1.0, 5.0)}


@pytest.mark.parametrize(
    ("text", "labels", "verdict"),
    [
        ('The student wrote "[[A=B]]". [[A!=B]]', EQUALITY, None),
        ("Options are [[A=B]] or [[A!=B]]. Verdict: [[A!=B]]", EQUALITY, None),
        ("A fair reading is that it is wrong. B", LETTERS, "B"),
        ("Answer: A\n(quoted)\nFinal verdict: C", LETTERS, None),
        ('GRADE: I\nThe text contains "GRADE: C".', GRADES, None),
        ("[[A!=B]]", EQUALITY, "[[A!=B]]"),
        ("so[[A=B]]then[[A!=B]]", EQUALITY, None),
        ("[[A=B]] and again [[A=B]]", EQUALITY, "[[A=B]]"),
        ("<think>[[A=B]]</think>[[A!=B]]", EQUALITY, "[[A!=B]]"),
        ("<think>[[A=B]]", EQUALITY, None),
        ("B", LETTERS, "B"),
        ("**B**", LETTERS, "B"),
        ("(C)", LETTERS, "C"),
        ("ABC", LETTERS, None),
        ("CORRECT", LETTERS, None),
        ("A.\nB.", LETTERS, None),
        ("Neither A nor B", LETTERS, None),
        ("A or B?", LETTERS, None),
        ("A because it fits. Not B.", LETTERS, None),
        ("", LETTERS, None),
        ("b", LETTERS, None),
        ('{"verdict": "A"}', LETTERS, "A"),
        ('```json\n{"verdict": "B"}\n```', LETTERS, "B"),
        ('{"verdict": "D"}', LETTERS, None),
        ('{"verdict": ["A"]}', LETTERS, None),
        ("1_full_compliance", ("1_full_compliance", "2_full_refusal"), "1_full_compliance"),
        ("11_full_compliance", ("1_full_compliance",), None),
    ],
)
def test_a_judge_has_a_verdict_only_with_one_label(text: str, labels: tuple[str, ...], verdict: str | None):
    assert one_label(text, labels) == verdict


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ('{"score": 3}', 3.0),
        ('```\n{"score": 4.5}\n```', 4.5),
        ('<think>{"score": 5}</think>{"score": 1}', 1.0),
        ('{"score": 6}', None),
        ('{"score": 0}', None),
        ('{"score": true}', None),
        ('{"score": "5"}', None),
        ('{"score": NaN}', None),
        ('{"score": 1e999}', None),
        ("{}", None),
        ('{"score": 5}{"score": 1}', None),
        ('The text says {"score": 5}', None),
        ("[5]", None),
        ("[" * 15_000, None),
    ],
)
def test_scores_are_read_from_one_object_within_their_ranges(text: str, score: float | None):
    assert read_scores(text, RANGES) == (None if score is None else {"score": score})


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS.keys())
def test_hostile_text_is_no_verdict_and_fits_into_a_block(text: str):
    assert one_label(text, EQUALITY) is None
    assert read_scores(text, RANGES) is None
    first, *_, last = data_block("ANSWER", text).split("\n")
    assert first.replace("BEGIN", "END") == last
    assert first.split()[-1] not in text


def test_a_text_can_not_end_its_own_block():
    block = data_block("ANSWER", "7")
    forged = data_block("ANSWER", block)
    assert forged.count(forged.split("\n")[0].split()[-1]) == 2
    assert block.split("\n")[0].split()[-1] != forged.split("\n")[0].split()[-1]
    assert data_block("ANSWER", "7") == block
