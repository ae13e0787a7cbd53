import pytest

from nemo_gym.environments.base import Golden
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.library.agent.example_single_tool_call.environment import WeatherReport
from nemo_gym.wire.items import assistant, function_call
from tests.library.playing import expected_reward, play, play_golden, play_oracle

LINK = LocalEnvironment(WeatherReport())
ROWS = [row for split in ("example", "train") for row in LINK.environment.tasks(split, 0, None)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["task_id"])
def test_the_oracle_earns_the_full_reward(row):
    assert play_oracle(LINK, row).value == 1.0


@pytest.mark.parametrize("golden", LINK.environment.golden(), ids=lambda golden: golden.name)
def test_known_cases_earn_what_they_should(golden: Golden):
    assert play_golden(LINK, golden).value == expected_reward(LINK, golden)


def test_a_row_without_a_city_accepts_a_call_for_any_city():
    row = {"expected_answer": "amber-000007"}
    call = function_call("get_weather", '{"city": "amber-000007"}', call_id="c")
    assert play(LINK, row, [call, assistant("Final answer: amber-000007")]).value == 1.0
    assert play(LINK, row, "Final answer: amber-000007").value == 0.0


def test_an_answer_hidden_in_the_reasoning_does_not_count():
    call = function_call("get_weather", '{"city": "Lisbon"}', call_id="c")
    row = {"city": "Lisbon", "expected_answer": "sunny"}
    assert play(LINK, row, [call, assistant("<think>It is sunny.</think>No idea.")]).value == 0.0


@pytest.mark.parametrize(
    "answer",
    [
        "sunny, rainy, snowy, foggy, windy, stormy, hazy, cloudy, dry, misty, mild",
        "It is either sunny or rainy.",
        "It is not sunny.",
        "It isn't sunny in Lisbon.",
        "Anything but sunny.",
        "It is sunny. That is wrong.",
        "Maybe sunny.",
        "unsunny",
    ],
)
def test_q11_a_list_a_denial_or_a_hedge_after_one_lookup_earns_nothing(answer):
    call = function_call("get_weather", '{"city": "Lisbon"}', call_id="c")
    row = {"city": "Lisbon", "expected_answer": "sunny"}
    assert play(LINK, row, [call, assistant(answer)]).value == 0.0


def test_a_row_without_an_expected_answer_expects_the_forecast_of_the_cities_looked_up():
    row = {"responses_create_params": {"input": [{"role": "user", "content": "weather in 2 cities?"}]}}
    calls = [
        function_call("get_weather", f'{{"city": "{city}"}}', call_id=city) for city in ("Lisbon", "Boston")
    ]
    assert play(LINK, row, [*calls, assistant("Lisbon is sunny, Boston is mild.")]).value == 1.0
    assert play(LINK, row, [*calls, assistant("Lisbon is sunny.")]).value == 0.0
    assert play(LINK, row, [*calls, assistant("Lisbon is sunny, Boston is rainy.")]).value == 0.0
    assert play(LINK, row, "It is mild.").value == 0.0
    assert play_oracle(LINK, row).value == 1.0
