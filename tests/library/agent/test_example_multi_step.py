import pytest

from nemo_gym.environments.base import Golden
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.library.agent.example_multi_step.environment import SynonymValues
from tests.library.playing import expected_reward, play_golden, play_oracle

LINK = LocalEnvironment(SynonymValues())
ROWS = [row for split in ("example", "train") for row in LINK.environment.tasks(split, 0, None)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["task_id"])
def test_the_oracle_earns_the_full_reward(row):
    assert play_oracle(LINK, row).value == 1.0


@pytest.mark.parametrize("golden", LINK.environment.golden(), ids=lambda golden: golden.name)
def test_known_cases_earn_what_they_should(golden: Golden):
    assert play_golden(LINK, golden).value == expected_reward(LINK, golden)
