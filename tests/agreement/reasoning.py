"""Our verdicts on rows of the package reasoning-gym beside those of its own scorers.

Run by `make test-agreement-reasoning`. Some scorers of the package run an answer as code, so every
answer here is one of the package's own right answers, in another notation, or with another digit.
"""

from __future__ import annotations

import functools
import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import reasoning_gym
from reasoning_gym.factory import DATASETS
from reasoning_gym.utils import extract_answer

from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.library.reasoning.reasoning.environment import Reasoning
from nemo_gym.wire.task import Row
from tests.library.playing import play

NOT_COMPARED = {
    "composite": "it is a mixture of the other data sets",
    "boxnet": "its rows have no answer, and ours are refused",
    "graph_color": "its rows have no answer, and ours are refused",
    "propositional_logic": "its rows have no answer, and ours are refused",
    "rubiks_cube": "its rows have no answer, and ours are refused",
    "rush_hour": "its rows have no answer, and ours are refused",
    "kakurasu": "its rows have source_idx in place of source_index, and ours are refused",
    "survo": "its rows have source_idx in place of source_index, and ours are refused",
}
ROWS = 3
ANOTHER_DIGIT = "another digit"
pytestmark = [  # a data set of the package leaves a file open
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Input(NamedTuple):
    """An answer to a row, with both verdicts."""

    name: str
    kind: str
    expected: str
    answer: str
    theirs: bool
    ours: bool


def answers(name: str, entries: list[Row], place: int) -> Iterator[tuple[str, str]]:
    """Kinds of answers to an entry, and the answers."""
    right = entries[place]["answer"]
    yield "right", right
    other = entries[(place + 1) % len(entries)]["answer"]
    yield "of another row", other
    yield "blanks around it", f" {right}\n"
    if changed := with_another_digit(right):
        yield ANOTHER_DIGIT, changed
    if name in ("countdown", "puzzle24"):
        yield "with brackets", f"({right})"


def with_another_digit(text: str) -> str:
    """The text with another last digit; empty when it has none."""
    for place in range(len(text) - 1, -1, -1):
        if text[place] in "0123456789":
            return f"{text[:place]}{(int(text[place]) + 1) % 10}{text[place + 1 :]}"
    return ""


@functools.cache
def inputs() -> list[Input]:
    return [one for name in sorted(DATASETS) if name not in NOT_COMPARED for one in inputs_of(name)]


def inputs_of(name: str) -> Iterator[Input]:
    dataset = reasoning_gym.create_dataset(name, seed=7, size=ROWS)
    entries: list[Row] = [dataset[place] for place in range(ROWS)]
    link = LocalEnvironment(Reasoning())
    for place, entry in enumerate(entries):
        for kind, answer in answers(name, entries, place):
            random.seed(0)
            text = f"I have thought.\n<answer>{answer}</answer>"
            theirs = dataset.score_answer(extract_answer(text), entry) == 1.0
            ours = play(link, row_of(entry), text).value == 1.0
            yield Input(name, kind, entry["answer"], answer, theirs, ours)


def row_of(entry: Row) -> Row:
    """The row that a data set has for an entry of the package."""
    metadata: dict[str, Any] = json.loads(json.dumps(entry["metadata"], default=str))
    return {
        "responses_create_params": {"input": [{"role": "user", "content": entry["question"]}]},
        "question": entry["question"],
        "answer": entry["answer"],
        "metadata": metadata,
    }


def report(title: str, compared: list[Input], capsys: pytest.CaptureFixture[str]) -> list[Input]:
    """Print and return the inputs whose verdicts differ."""
    different = [one for one in compared if one.theirs != one.ours]
    with capsys.disabled():
        print(f"\n{title}: {len(compared) - len(different)} of {len(compared)} verdicts agree")
        for one in different:
            print(
                f"  {one.name:<22} {one.kind:<15} theirs {one.theirs:d} ours {one.ours:d}  "
                f"expected {one.expected[:50]!r}  answer {one.answer[:50]!r}"
            )
    return different


def test_at_least_99_percent_of_the_verdicts_agree(capsys: pytest.CaptureFixture[str]) -> None:
    compared = [one for one in inputs() if one.kind != ANOTHER_DIGIT]
    different = report("Right answers, other notations, answers of other rows", compared, capsys)
    assert len(compared) >= 500
    assert len(different) <= 0.01 * len(compared)
    assert Counter(one.name for one in different) == WRONGLY_PAID


def test_answers_with_another_digit_are_paid_by_the_package_alone(capsys: pytest.CaptureFixture[str]) -> None:
    compared = [one for one in inputs() if one.kind == ANOTHER_DIGIT]
    different = report("Right answers with another last digit", compared, capsys)
    assert len(compared) >= 150
    assert all(one.theirs for one in different)
    assert Counter(one.name for one in different) == WRONGLY_PAID_DIGITS


# In each of these disagreements the package pays a wrong answer, so our verdict is right.
WRONGLY_PAID = Counter(
    {
        "game_of_life_halting": 2,  # any text is as good as any other: both are true as Python values
        "puzzle24": 3,  # other numbers than those of the row
    }
)
WRONGLY_PAID_DIGITS = Counter(
    {
        "codeio": 1,  # a float that differs in its last digit
        "number_format": 3,  # a number that is none of the candidates
        "number_sorting": 3,  # a list with a number that is not in the question
    }
)
