"""The metrics that built-in environments look at first, by the names that the original package has."""

from __future__ import annotations

from typing import Any

import pytest

from nemo_gym.environments.discovery import find_environment
from nemo_gym.runs.aggregate import aggregate_rows

KEYS: dict[str, dict[str, float]] = {
    "mcqa": {
        "mean/reward": 0.5,
        "pass@1/accuracy": 50.0,
        "pass@1[avg-of-4]/accuracy": 50.0,
        "pass@1[avg-of-4]/no_answer": 25.0,
        "pass@4/no_answer": 100.0,
        "majority@4/accuracy": 500 / 9,
    },
    "math_with_judge": {
        "mean/input_tokens": 1.0,
        "mean/output_tokens": 2.0,
        "pass@1[avg-of-4]/no_answer": 25.0,
        "pass@1[avg-of-4]/symbolic_accuracy": 50.0,
        "pass@4/symbolic_accuracy": 100.0,
        "majority@4/symbolic_accuracy": 500 / 9,
    },
}
"""Of the rows below, as `nemo-gym` 0.4.0 gives them."""


def row(task: int, repeat: int) -> dict[str, Any]:
    right = float((task + repeat) % 2)
    return {
        "_ng_task_index": task,
        "_ng_rollout_index": repeat,
        "reward": right,
        "library_reward": right,
        "extracted_answer": "ABCD"[repeat] if repeat else None,
        "response": {"usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}},
    }


ROWS = [row(task, repeat) for task in range(3) for repeat in range(4)]


def key_metrics(name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    environment = find_environment(name)()
    return aggregate_rows(rows, answer_key=environment.answer_key, hooks=environment)["key_metrics"]


@pytest.mark.parametrize("name", KEYS)
def test_key_metrics_are_those_of_the_original(name: str) -> None:
    assert key_metrics(name, ROWS) == pytest.approx(KEYS[name])


def test_rows_that_were_not_compared_symbolically_have_no_such_metric() -> None:
    found = key_metrics("math_with_judge", [{"_ng_task_index": 0, "reward": 1.0}])

    assert found == {"pass@1[avg-of-1]/no_answer": 100.0}
