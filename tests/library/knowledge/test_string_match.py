from __future__ import annotations

from typing import Any

import pytest

from nemo_gym import Response, Reward
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.library.knowledge.string_match.environment import StringMatch
from nemo_gym.wire.items import assistant
from tests.library.playing import expected_reward, play_golden


async def verdict(text: str, expected: str = "Oslo", **fields: Any) -> Reward:
    row = {"responses_create_params": {"input": "?"}, "expected_answer": expected, **fields}
    link = LocalEnvironment(StringMatch())
    async with link.session(row) as session:
        return await link.verify(session, Response.of([assistant(text)]))


@pytest.mark.parametrize(
    ("mode", "text", "value"),
    [
        ("final_answer", "Final Answer: Oslo", 1.0),
        ("final_answer", "\\boxed{Oslo}", 1.0),
        ("final_answer", "Oslo", 0.0),
        ("boxed", "\\boxed{Oslo}", 1.0),
        ("boxed", "Final Answer: Oslo", 0.0),
        ("last_line", "I think\nOslo", 1.0),
        ("full_response", "oslo", 1.0),
        ("full_response", "It is Oslo", 0.0),
    ],
)
async def test_the_mode_says_where_the_answer_is(mode: str, text: str, value: float) -> None:
    assert (await verdict(text, extraction_mode=mode)).value == value


@pytest.mark.parametrize(
    "text",
    ["Final Answer: Oslo\nNo, Rome.", "Final Answer: Oslo?", "Final Answer: ~Oslo", "It isn't \\boxed{Oslo}"],
)
async def test_an_answer_that_is_denied_doubted_or_replaced_is_not_paid(text: str) -> None:
    assert (await verdict(text)).value == 0.0


async def test_case_counts_when_the_row_says_so() -> None:
    assert (await verdict("Final Answer: oslo")).value == 1.0
    assert (await verdict("Final Answer: oslo", case_sensitive=True)).value == 0.0


async def test_the_answer_and_the_rule_that_decided_become_columns() -> None:
    reward = await verdict("Final Answer: 1,000", "1000")

    assert reward.details == {"extracted_answer": "1,000", "match_type": "thousands"}
    assert (await verdict("")).details == {"extracted_answer": None, "match_type": "no_answer"}


@pytest.mark.parametrize("case", list(StringMatch().golden()), ids=lambda case: case.name)
def test_golden_cases_earn_what_they_say(case: Any) -> None:
    assert play_golden(StringMatch(), case).value == expected_reward(StringMatch(), case)
