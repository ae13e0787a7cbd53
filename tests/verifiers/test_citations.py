"""The gates of citations."""

from __future__ import annotations

import pytest

from nemo_gym.verifiers.citations import CitationRule, check_citations

RULE = CitationRule(documents=4, gold=(1, 3), most=3)


@pytest.mark.parametrize(
    ("text", "gate"),
    [
        ("So it is [1][3].", "right"),
        ("So it is [1][3][2].", "right"),
        ("So it is [1][2][3][4].", "over_cap"),
        ("So it is [1].", "missed_gold"),
        ("So it is [1][3][5].", "no_hallucination"),
        ("So it is [0][1][3].", "no_hallucination"),
        ("So it is.", "must_cite"),
        ("So it is [1][3] [doc 2].", "malformed_attempt"),
        ("So it is [1][3] (2).", "malformed_attempt"),
        ("So it is [1, 3].", "malformed_attempt"),
        ("So it is [1][3] [", "malformed_attempt"),
        ("[1][3]", "no_answer"),
        ("", "no_answer"),
        ("a" * 20_001, "too_long"),
    ],
)
def test_the_first_gate_that_fails_is_the_verdict(text: str, gate: str) -> None:
    assert check_citations(text, RULE).gate == gate


def test_an_inverted_rule_forbids_markers() -> None:
    rule = CitationRule(documents=2, is_inverted=True)

    assert check_citations("It is red.", rule).holds
    assert check_citations("It is red [1].", rule).gate == "no_cite"


def test_lines_must_agree_up_to_case_blanks_and_points() -> None:
    rule = CitationRule(documents=2, gold=(1,), lines=["Red [1]"])

    assert check_citations("\n red   [1].\n", rule).holds
    assert check_citations("Red. [1]", rule).holds
    assert check_citations("Blue [1]", rule).gate == "wrong_answer"
    assert check_citations("Red [1]\nBlue [1]", rule).gate == "wrong_answer"


@pytest.mark.parametrize(
    "text", ["[" * 20_000, "[1]" * 6_000, "(doc " * 4_000, " " * 20_000, "\ud800[\0", "x" * 10**6]
)
def test_a_hostile_text_fails(text: str) -> None:
    assert not check_citations(text, RULE).holds
