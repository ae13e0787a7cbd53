import pytest

from nemo_gym.environments.base import Golden
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.library.agent.example_mcp_weather.environment import McpWeather, report
from nemo_gym.wire.items import assistant, function_call
from tests.library.playing import expected_reward, play, play_golden, play_oracle

LINK = LocalEnvironment(McpWeather())
ROWS = [row for split in ("example", "train") for row in LINK.environment.tasks(split, 0, None)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["task_id"])
def test_the_oracle_earns_the_full_reward(row):
    assert play_oracle(LINK, row).value == 1.0


@pytest.mark.parametrize("golden", LINK.environment.golden(), ids=lambda golden: golden.name)
def test_known_cases_earn_what_they_should(golden: Golden):
    assert play_golden(LINK, golden).value == expected_reward(LINK, golden)


def test_several_lookups_are_fine_when_the_right_one_is_among_them():
    row = {"verifier_metadata": {"expected_city": "Athens"}}
    calls = [
        function_call("get_weather", f'{{"city": "{city}"}}', call_id=city) for city in ("Hanoi", "athens ")
    ]
    assert play(LINK, row, [*calls, assistant(report("Athens"))]).value == 1.0
    assert play(LINK, row, [calls[0], assistant(report("Athens"))]).value == 0.0


@pytest.mark.parametrize(
    "answer",
    [
        "The weather in Athens is sunny and 72 F. The weather in Hanoi is sunny and 72 F.",
        "The weather in Athens is sunny and 72 F, or rainy and 50 F.",
        "It is not true that the weather in Athens is sunny and 72 F.",
        "The weather in Athens is sunny and 72 F. That is false.",
        "Perhaps the weather in Athens is sunny and 72 F.",
        "The weather in Athens isn't sunny and 72 F.",
        "The weather in Athens is sunny and 72 Fahrenheit",
        "The weather in Athens is sunny and 72 F, rainy, cloudy, snowy",
    ],
)
def test_q11_a_list_a_denial_or_a_hedge_after_one_lookup_earns_nothing(answer):
    row = {"verifier_metadata": {"expected_city": "Athens"}}
    call = function_call("get_weather", '{"city": "Athens"}', call_id="c")
    assert play(LINK, row, [call, assistant(answer)]).value == 0.0


def test_the_weather_is_the_same_everywhere_and_paris_is_meant_by_default():
    call = function_call("get_weather", '{"city": "PARIS"}', call_id="c")
    answer = assistant("It says: the weather in Paris is sunny and 72 F.")
    assert report("Nairobi") == "The weather in Nairobi is sunny and 72 F."
    assert play(LINK, {}, [call, answer]).value == 1.0
