"""What a run is asked for besides its components."""

from __future__ import annotations

from typing import Any

import pytest

from nemo_gym.config.errors import ConfigError
from nemo_gym.config.run_settings import RunSettings


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"temprature": 1},
            r"responses_create_params\.temprature: unknown field\. .* 'temperature'",
        ),
        (
            {"temperature": "hot"},
            r"responses_create_params\.temperature: Expected `float \| null`, got",
        ),
        ({"max_output_tokens": [1]}, r"responses_create_params\.max_output_tokens: Expected `int"),
    ],
)
def test_request_parameters_of_a_configuration_are_checked_before_a_model_is_asked(
    params: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        RunSettings().over({"responses_create_params": params})


def test_flags_win_over_the_configuration_and_right_parameters_pass() -> None:
    asked = RunSettings(limit=3, sampling={"temperature": 0.5})
    tree = {"limit": 5, "num_repeats": 2, "responses_create_params": {"temperature": 1, "top_p": 0.9}}
    settings = asked.over(tree)
    assert (settings.limit, settings.num_repeats) == (3, 2)
    assert settings.sampling == {"temperature": 0.5, "top_p": 0.9}
