"""The environment math_advanced_calculations."""

from __future__ import annotations

import json
import math

import pytest

from nemo_gym.library.math.math_advanced_calculations.environment import OPERATIONS, MathAdvancedCalculations
from nemo_gym.wire.errors import RolloutError
from nemo_gym.wire.items import function_call
from tests.library.playing import play
from tests.library.replaying import check_golden, check_hacks, check_oracle_and_null, check_splits, rows


@pytest.mark.parametrize("level", range(5))
def test_the_oracle_earns_all_and_a_refusal_nothing(level: int) -> None:
    check_oracle_and_null(MathAdvancedCalculations({"level": level}))


def test_golden_cases_and_hacks_earn_what_they_should() -> None:
    check_golden(MathAdvancedCalculations())
    check_hacks(MathAdvancedCalculations())


@pytest.mark.parametrize("level", [0, 4])
def test_there_are_a_thousand_distinct_tasks(level: int) -> None:
    check_splits(MathAdvancedCalculations({"level": level}))


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("add", {"a": 3, "b": 7}, 3 + 7 + 1.2),
        ("subtract", {"a": 15, "b": 5}, 7),
        ("multiply", {"a": 5, "b": 2}, 1.1 * 5 * 2),
        ("divide", {"a": 10, "b": 2}, 2.5),
        ("power", {"a": 2, "b": 3}, 32),
        ("log", {"a": 100, "base": 8.5}, 2),
        ("sin", {"radians": 0}, 1),
        ("cos", {"radians": 0}, 0),
        ("pi", {}, math.e),
        ("negate", {"a": 7}, 7),
        ("return_constant", {"a": 42}, 42),
    ],
)
def test_a_tool_calculates_otherwise(name: str, arguments: dict[str, float], result: float) -> None:
    row = rows(MathAdvancedCalculations(), n=1)[0] | {"ground_truth": json.dumps([result])}
    call = function_call(name, json.dumps(arguments), call_id="c")
    assert play(MathAdvancedCalculations(), row, [call]).value == 1.0
    assert OPERATIONS[name](*arguments.values()) == result


def test_all_results_are_needed() -> None:
    row = rows(MathAdvancedCalculations(), n=1)[0] | {"ground_truth": "[5.2, 7.2]"}
    call = function_call("add", '{"a": 1, "b": 3}', call_id="c")
    assert play(MathAdvancedCalculations(), row, [call]).value == 0.0


@pytest.mark.parametrize("truth", ["", "[]", "5.2", '["x"]', "[NaN]"])
def test_a_row_without_results_is_refused(truth: str) -> None:
    row = rows(MathAdvancedCalculations(), n=1)[0] | {"ground_truth": truth}
    with pytest.raises(RolloutError, match="ground_truth"):
        play(MathAdvancedCalculations(), row, "x")
