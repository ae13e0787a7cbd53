"""Cases and rows tried on an environment in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemo_gym.environments.base import Golden
from nemo_gym.environments.case_runner import Trial, try_out
from nemo_gym.wire.errors import GymError

TOLERANCE = str(Path(__file__).parents[1] / "compat" / "servers" / "tolerance" / "app.py")
PARAMS = {"responses_create_params": {"input": [{"role": "user", "content": "Go."}]}}
NOISY = """
from nemo_gym import Environment

print("to standard output")


class Noisy(Environment):
    def verify(self, task, response, session):
        if response.final_text == "boom":
            raise RuntimeError("no verdict")
        return 1.0
"""


def case(output: str, **columns: Any) -> Golden:
    return Golden(name=output, kind="full_reward", task={**PARAMS, **columns}, output=output)


async def test_an_existing_server_scores_cases_and_says_which_rows_do_not_fit() -> None:
    rows = [{**PARAMS, "expected": 1}, {**PARAMS, "expected": "x"}, PARAMS, {"expected": 1}]
    cases = [case("10", expected=10), case("11", expected=10)]
    outcome = await try_out(Trial(environment=TOLERANCE, cases=cases, rows=rows))
    assert [scored.reward for scored in outcome.scored] == [1.0, 0.0]
    assert outcome.bad_rows == [
        "",
        "expected: Input should be a valid number, unable to parse string as a number",
        "expected: Field required",
        'responses_create_params: missing. It is the request to the model: {"input": "What is 2 + 2?"}',
    ]


async def test_settings_reach_the_environment() -> None:
    outcome = await try_out(
        Trial(environment=TOLERANCE, settings={"tolerance": 2}, cases=[case("11", expected=10)])
    )
    assert outcome.scored[0].reward == 1.0
    with pytest.raises(GymError, match="tolerance: Input should be greater than or equal to 0"):
        await try_out(Trial(environment=TOLERANCE, settings={"tolerance": -1}))


async def test_what_the_code_prints_does_not_matter_and_a_failing_verifier_is_an_error_of_the_case(
    tmp_path: Path,
) -> None:
    (tmp_path / "noisy.py").write_text(NOISY)
    outcome = await try_out(
        Trial(environment=str(tmp_path / "noisy.py"), cases=[case("x"), case("boom")], rows=[PARAMS])
    )
    assert [scored.reward for scored in outcome.scored] == [1.0, None]
    assert "no verdict" in outcome.scored[1].error
    assert outcome.bad_rows == [""]


async def test_code_that_ends_its_process_is_told_with_what_it_said(tmp_path: Path) -> None:
    (tmp_path / "rude.py").write_text(
        "import os, sys\nsys.stderr.write('bye\\n')\nsys.stderr.flush()\nos._exit(3)\n"
    )
    with pytest.raises(GymError, match=r"exit code 3 after \d+ s:\n  \| bye"):
        await try_out(Trial(environment=str(tmp_path / "rude.py")))
