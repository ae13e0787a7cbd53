"""bfcl: known cases, known hacks, the oracle and a null policy."""

from __future__ import annotations

import msgspec
import pytest

from nemo_gym.environments.base import Golden
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.library.agent.bfcl.environment import Bfcl
from nemo_gym.wire.errors import TaskUnfit
from tests.library.playing import expected_reward, play, play_golden, play_oracle

GOLDEN = list(Bfcl().golden())


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case.name)
def test_a_known_case_earns_what_it_should(case: Golden) -> None:
    assert play_golden(Bfcl(), case).value == expected_reward(Bfcl(), case)


@pytest.mark.parametrize("level", [0, 4])
def test_the_oracle_earns_everything_and_no_content_nothing(level: int) -> None:
    environment = Bfcl({"level": level})
    rows = [msgspec.to_builtins(task) for task in environment.tasks("test", 0, 40)]
    assert {play_oracle(environment, row).value for row in rows} == {1.0}
    assert {play(environment, row, "I don't know.").value for row in rows} == {0.0}
    assert any(not row["possible_calls"] for row in rows) == (level > 0)


async def test_a_row_whose_call_names_no_function_is_refused() -> None:
    row = {
        "responses_create_params": {"input": "?"},
        "functions": [{"name": "f"}],
        "possible_calls": [{"g": {}}],
    }
    with pytest.raises(TaskUnfit, match=r"expected one of f, got \['g'\]"):
        async with LocalEnvironment(Bfcl()).session(row):
            pass
