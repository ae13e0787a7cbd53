"""Rows of the package reasoning-gym that have several right answers."""

from __future__ import annotations

from typing import Any

import pytest

from nemo_gym.environments.conformance.hostile import HOSTILE_TEXTS
from nemo_gym.library.reasoning.reasoning.package_rows import CHECKERS, grade

COUNTDOWN = {"source_dataset": "countdown", "numbers": [3, 12, 1], "target": 16}
PUZZLE24 = {"source_dataset": "puzzle24", "numbers": [1, 4, 4, 7]}
DECIMALS = {"source_dataset": "decimal_arithmetic", "difficulty": {"decimal_places": [3, 6]}}
COINS = {"source_dataset": "coin_flip"}


@pytest.mark.parametrize(
    ("facts", "answer", "given", "right"),
    [
        (COUNTDOWN, "12 + 3 + 1", "1 + (3 + 12)", True),
        (COUNTDOWN, "12 + 3 + 1", "12 + 4", False),
        (COUNTDOWN, "12 + 3 + 1", "12 * 3 - 1", False),
        (COUNTDOWN, "12 + 3 + 1", "16", False),
        ({**COUNTDOWN, "numbers": None}, "12 + 3 + 1", "3 + 12 + 1", False),
        (PUZZLE24, "1*(7*4 - 4)", "(7*4 - 4) / 1", True),
        (PUZZLE24, "1*(7*4 - 4)", "1*9*3 - 3", False),
        (DECIMALS, "1.378000", "1.378001", True),
        (DECIMALS, "1.378", "1.379", False),
        ({**DECIMALS, "difficulty": {"decimal_places": ["x"]}}, "1.378", "1.379", False),
        ({**DECIMALS, "difficulty": None}, "1.378", "1.379", False),
        (COINS, "0.109375", "7/64", True),
        (COINS, "0.109375", "0.1094", True),
        (COINS, "0.109375", "0.10", False),
        (COINS, "0.109375", "1/0", False),
        ({"source_dataset": "other"}, "1.378", "1.379", False),
    ],
)
def test_an_answer_may_be_right_in_another_form(
    facts: dict[str, Any], answer: str, given: str, right: bool
) -> None:
    assert grade(f"<answer>{given}</answer>", answer, facts)[0] == right
    assert grade(f"<answer>{given}</answer> is wrong", answer, facts)[0] is False


def test_a_long_answer_and_one_of_marks_are_compared_whole() -> None:
    moves = "\n".join(f"Move disk {number} from Peg 1 to Peg 2" for number in range(60))
    board = "_ _ Q\nQ _ _"
    for answer in (moves, board):
        assert grade(f"<answer>\n{answer}\n</answer>", answer, {})[0]
        assert not grade(f"<answer>{answer}</answer> No, that is wrong.", answer, {})[0]
        assert not grade(f"<answer>{answer} or else</answer>", answer, {})[0]


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS.keys())
def test_hostile_text_is_wrong(text: str) -> None:
    for name in CHECKERS:
        facts = {"source_dataset": name, "numbers": [1, 2], "difficulty": {"decimal_places": [3]}}
        assert not grade(text, "12.5", facts)[0]
        assert not grade(f"<answer>{text}</answer>", "12.5", facts)[0]
