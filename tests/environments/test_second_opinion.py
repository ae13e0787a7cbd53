"""The setting `second_opinion` without the package math-verify; `tests/agreement/mathematics.py` has it."""

from __future__ import annotations

import sys

import pytest

from nemo_gym.environments.build import build_environment
from nemo_gym.environments.discovery import find_environment
from nemo_gym.environments.second_opinion import MathVerify
from nemo_gym.wire.errors import UsageError
from tests.library.playing import play

ENVIRONMENTS = ["math_with_judge", "word_problems"]
MISSING = r"second_opinion needs the package math-verify: pip install 'nemo-gym\[math-verify\]'"


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "math_verify", None)


@pytest.mark.usefixtures("no_package")
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_a_missing_package_is_named_before_the_run(name: str) -> None:
    with pytest.raises(UsageError, match=MISSING):
        build_environment(find_environment(name), {"second_opinion": "math_verify"})
    with pytest.raises(UsageError, match=MISSING):
        MathVerify()


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_another_opinion_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"second_opinion.*math_verify|math_verify.*second_opinion"):
        build_environment(find_environment(name), {"second_opinion": "sympy"})


@pytest.mark.usefixtures("no_package")
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_it_is_off_by_default(name: str) -> None:
    row = {"responses_create_params": {"input": "2 + 2?"}, "question": "2 + 2?", "expected_answer": "4"}
    reward = play(build_environment(find_environment(name)), row, r"\boxed{5}")
    assert (reward.value, "math_verify" in reward.details) == (0.0, False)
