"""Our verdicts and those of math-verify on the labelled list. Prints both figures and every error of each.

Run by `make test-agreement-mathematics`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from math_verify import parse, verify

from nemo_gym import Environment
from nemo_gym.environments.build import build_environment
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.second_opinion import MathVerify
from nemo_gym.verifiers.math import grade
from tests.agreement.labelled_pairs import Pair, labelled_pairs
from tests.library.playing import play

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


@pytest.fixture(scope="module")
def second() -> Iterator[MathVerify]:
    second = MathVerify()
    yield second
    second.close()


def test_a_second_opinion_on_what_we_refuse_is_recorded_with_its_errors(
    second: MathVerify, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = [pair for pair in PAIRS if not grade(text_of(pair), pair.expected).score]
    errors: list[Pair] = []
    for pair in refused:
        answer = grade(text_of(pair), pair.expected).extracted
        paid = answer is not None and second.equal(answer, pair.expected) is True
        if paid != pair.right:
            errors.append(pair)
    with capsys.disabled():
        wrong = [pair for pair in errors if not pair.right]
        print(f"\nsecond opinion on {len(refused)} refused pairs: {len(wrong)} paid wrongly")
        for pair in wrong:
            print(f"  {pair.family:<18} expected {pair.expected}   answer {pair.answer}")
    assert len(refused) > 500


@pytest.mark.parametrize(
    ("answer", "expected", "verdict"),
    [
        (r"\frac{1}{2}", "0.5", True),
        (r"\frac{1}{2}", r"$\frac{2}{4}$", True),
        ("3", "4", False),
        ("", "4", None),
        ("\udc80", "4", None),
        ("4" * 1001, "4" * 1001, None),
        (r"\frac{" * 100, "4", None),
    ],
)
def test_an_opinion_is_a_verdict_or_none(
    second: MathVerify, answer: str, expected: str, verdict: bool | None
) -> None:
    assert second.equal(answer, expected) is verdict


@pytest.mark.parametrize(
    "answer",
    [
        "(10^8)!",
        "9^{9^{9^{9}}}",
        r"\binom{10^9}{5 \cdot 10^8}",
        r"\sum_{k=1}^{10^{12}} \frac{1}{k^k}",
        "(" * 450 + "1" + ")" * 450,
        "x" * 1000,
        '__import__("os").system("touch /tmp/second-opinion")',
    ],
)
def test_a_bomb_costs_a_bounded_time_and_no_opinion_pays(second: MathVerify, answer: str) -> None:
    began = time.monotonic()
    assert second.equal(answer, "4") is not True
    assert time.monotonic() - began < 60
    assert second.equal("4", "4.0") is True
    assert not Path("/tmp/second-opinion").exists()


ROW = {"responses_create_params": {"input": "?"}, "question": "?", "expected_answer": r"\sqrt{3}+\sin(1)"}
ANSWER = r"\boxed{\sin(1)+3^{\frac{1}{2}}}"


@pytest.mark.parametrize("name", ["math_with_judge", "word_problems"])
def test_an_environment_pays_a_second_opinion_only_when_asked_to(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = find_environment(name)

    def reward_of(environment: Environment, answer: str) -> tuple[float, Any]:
        reward = play(environment, ROW, answer)
        return reward.value, reward.details.get("math_verify", "not asked")

    with_it, without = build_environment(kind, {"second_opinion": "math_verify"}), build_environment(kind)
    assert reward_of(with_it, r"\boxed{5}") == (0.0, False)
    assert reward_of(with_it, ANSWER) == (1.0, "not asked")
    # Our rules call these equal too, so only a stricter rule shows who pays.
    monkeypatch.setattr("nemo_gym.verifiers.math.grading.equal", lambda *_: False)
    assert reward_of(with_it, ANSWER) == (1.0, True)
    assert reward_of(without, ANSWER) == (0.0, "not asked")
    assert reward_of(with_it, "I don't know.")[0] == 0.0
    assert reward_of(with_it, "") == (0.0, "not asked")
