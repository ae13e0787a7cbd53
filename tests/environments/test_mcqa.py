from __future__ import annotations

from typing import Any

import pytest
from playing import expected_reward, play_golden

from nemo_gym import Response
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.mcqa.environment import Mcqa
from nemo_gym.wire.errors import VerifierFault
from nemo_gym.wire.items import assistant

OPTIONS = [{"A": "iron"}, {"B": "helium"}]


async def reward(text: str, settings: dict[str, Any] | None = None, **fields: Any) -> float:
    row = {"responses_create_params": {"input": "?"}, "options": OPTIONS, "expected_answer": "B", **fields}
    link = LocalEnvironment(Mcqa(settings))
    async with link.session(row) as session:
        return (await link.verify(session, Response.of([assistant(text)]))).value


async def test_a_single_letter_in_the_last_box_is_expected_by_default() -> None:
    assert await reward("\\boxed{B}") == 1.0
    assert await reward("\\boxed{helium}") == 0.0
    assert await reward("B") == 0.0
    assert await reward("") == 0.0


async def test_the_row_chooses_the_mode_and_the_setting_overrides_it() -> None:
    assert await reward("Answer: B", grading_mode="lenient_answer_colon") == 1.0
    assert await reward("\\boxed{helium}", {"grading_mode": "lenient_boxed"}) == 1.0
    assert (
        await reward("Answer: B", {"grading_mode": "lenient_boxed"}, grading_mode="lenient_answer_colon")
        == 0.0
    )


async def test_the_data_sets_own_pattern_decides_first() -> None:
    pattern = {"template_metadata": {"output_regex": "choice: ([A-Z])"}}

    assert await reward("choice: B", **pattern) == 1.0
    assert await reward("choice: A, \\boxed{B}", **pattern) == 0.0
    assert await reward("choice: Z", **pattern) == 0.0


async def test_a_pattern_that_could_hang_is_a_fault_not_a_reward() -> None:
    with pytest.raises(VerifierFault, match="regex"):
        await reward("choice: B", template_metadata={"output_regex": "((?:a+)+)$"})


async def test_the_expected_letter_may_be_lower_case() -> None:
    assert await reward("\\boxed{B}", expected_answer="b") == 1.0


@pytest.mark.parametrize("case", list(Mcqa().golden()), ids=lambda case: case.name)
def test_golden_cases_earn_what_they_say(case: Any) -> None:
    assert play_golden(Mcqa(), case).value == expected_reward(Mcqa(), case)
