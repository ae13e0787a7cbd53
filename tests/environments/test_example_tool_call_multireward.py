import pytest
from playing import expected_reward, play_golden, play_oracle

from nemo_gym.environments.base import Golden
from nemo_gym.environments.example_tool_call_multireward.environment import KitchenTimer
from nemo_gym.environments.link import LocalEnvironment

LINK = LocalEnvironment(KitchenTimer())
ROWS = [row for split in ("example", "train") for row in LINK.environment.tasks(split, 0, None)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["task_id"])
def test_the_oracle_earns_the_full_reward(row):
    assert play_oracle(LINK, row).value == 3.0


@pytest.mark.parametrize("golden", LINK.environment.golden(), ids=lambda golden: golden.name)
def test_known_cases_earn_what_they_should(golden: Golden):
    assert play_golden(LINK, golden).value == expected_reward(LINK, golden)


@pytest.mark.parametrize("golden", LINK.environment.golden(), ids=lambda golden: golden.name)
def test_every_result_has_the_same_components_which_sum_to_the_reward(golden: Golden):
    reward = play_golden(LINK, golden)
    assert reward.components is not None
    assert set(reward.components) == {"correctness", "schema_valid", "format"}
    assert sum(reward.components.values()) == reward.value
    assert reward.details == reward.components
