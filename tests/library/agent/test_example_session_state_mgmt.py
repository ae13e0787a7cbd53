import asyncio

import pytest

from nemo_gym.environments.base import Golden
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.library.agent.example_session_state_mgmt.environment import Counter
from nemo_gym.wire.items import function_call
from nemo_gym.wire.response import Response
from tests.library.playing import expected_reward, play_golden, play_oracle

LINK = LocalEnvironment(Counter())
ROWS = [row for split in ("example", "train") for row in LINK.environment.tasks(split, 0, None)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["task_id"])
def test_the_oracle_earns_the_full_reward(row):
    assert play_oracle(LINK, row).value == 1.0


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["task_id"])
def test_no_task_of_our_own_is_done_before_it_begins(row):
    assert row["initial_count"] != row["expected_count"]


@pytest.mark.parametrize("golden", LINK.environment.golden(), ids=lambda golden: golden.name)
def test_known_cases_earn_what_they_should(golden: Golden):
    assert play_golden(LINK, golden).value == expected_reward(LINK, golden)


def test_two_rollouts_of_one_task_do_not_share_a_counter():
    async def interleaved():
        row = {"initial_count": 1, "expected_count": 3}
        async with LINK.session(row) as first, LINK.session(row) as second:
            for count in (5, -3):
                arguments = f'{{"count": {count}}}'
                await LINK.call(first, function_call("increment_counter", arguments, call_id="c"))
            look = function_call("get_counter_value", "{}", call_id="c")
            seen = [await LINK.call(session, look) for session in (first, second)]
            rewards = [await LINK.verify(session, Response.of([])) for session in (first, second)]
            return seen, [reward.value for reward in rewards]

    assert asyncio.run(interleaved()) == (['{"count":3}', '{"count":1}'], [1.0, 0.0])
