import pytest

from nemo_gym.environments.base import Golden
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.library.agent.example_tool_call_multireward.environment import KitchenTimer
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.items import assistant, function_call
from tests.library.playing import expected_reward, play, play_golden, play_oracle

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


ROW = {
    "responses_create_params": {
        "input": [{"role": "user", "content": "Book a table for two."}],
        "tools": [
            {
                "type": "function",
                "name": "book",
                "parameters": {"type": "object", "properties": {"seats": {}}, "required": ["seats"]},
            }
        ],
    },
    "expected_call": {"name": "book", "arguments": {"seats": 2}},
}


@pytest.mark.parametrize(
    ("calls", "text", "parts"),
    [
        ([("book", '{"seats": 2}')], "", (1, 1, 1)),
        ([("book", '{"seats": 2, "when": "now"}')], "", (1, 1, 1)),
        ([("book", '{"seats": 2}')], "Done.", (1, 1, 0)),
        ([("book", '{"seats": 3}')], "", (0, 1, 1)),
        ([("book", '{"seats": 1}'), ("book", '{"seats": 2}')], "", (1, 1, 0)),
        ([("book", "{}")], "", (0, 0, 1)),
        ([("book", "[2]")], "", (0, 0, 1)),
        ([("book", "{seats")], "", (0, 0, 1)),
        ([("cancel", '{"seats": 2}')], "", (0, 0, 1)),
        ([], "book(seats=2)", (0, 0, 0)),
    ],
)
def test_a_row_may_name_the_call_of_a_tool_of_its_own(calls, text, parts):
    items = [function_call(name, arguments, call_id=f"c{n}") for n, (name, arguments) in enumerate(calls)]
    reward = play(LINK, ROW, [*items, assistant(text)])
    assert tuple(reward.components.values()) == parts
    assert list(reward.components) == ["correctness", "schema_valid", "format"]


def test_the_oracle_makes_the_call_that_a_row_names():
    assert play_oracle(LINK, ROW).value == 3.0


def test_a_row_with_neither_a_timer_nor_a_call_is_refused():
    with pytest.raises(TaskUnfit, match="needs minutes and label, or an expected_call"):
        play(LINK, {"minutes": 3}, "")
