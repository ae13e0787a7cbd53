"""The environment of documents that conform to a schema."""

from __future__ import annotations

from typing import Any

import pytest

from nemo_gym.library.instruction_following.structured_outputs.environment import StructuredOutputs
from nemo_gym.wire.errors import RolloutError
from tests.library.playing import play
from tests.library.replaying import check_golden, check_hacks, check_oracle_and_null, check_splits, rows


@pytest.mark.parametrize("level", range(5))
def test_the_oracle_conforms_and_a_refusal_does_not(level: int) -> None:
    check_oracle_and_null(StructuredOutputs({"level": level}))


def test_golden_cases_and_hacks_earn_what_they_should() -> None:
    check_golden(StructuredOutputs())
    check_hacks(StructuredOutputs())


@pytest.mark.parametrize("level", [0, 4])
def test_there_are_a_thousand_distinct_tasks(level: int) -> None:
    check_splits(StructuredOutputs({"level": level}))


def test_every_format_and_the_tool_are_drawn() -> None:
    tasks = rows(StructuredOutputs({"level": 4}), n=80)

    assert {task.get("schema_type", "json") for task in tasks} == {"json", "yaml", "toml", "xml", "csv"}
    assert {task.get("response_mode", "text") for task in tasks} == {"text", "tool_call"}


@pytest.mark.parametrize(
    "change",
    [
        {"schema_str": "no JSON"},
        {"schema_str": '{"type": "thing"}'},
        {"schema_str": '{"$ref": "http://localhost/schema"}'},
        {"response_mode": "tool_call"},
    ],
)
def test_a_row_without_a_usable_schema_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(RolloutError, match=r"schema_str|tool_name"):
        play(StructuredOutputs(), rows(StructuredOutputs(), n=1)[0] | change, "{}")


def test_the_error_type_names_the_reason() -> None:
    row = rows(StructuredOutputs(), n=1)[0]

    assert play(StructuredOutputs(), row, "").details["error_type"] == "empty_response"
    assert play(StructuredOutputs(), row, "{").details["error_type"] == "parse_error"
    assert play(StructuredOutputs(), row, "{}").details["error_type"] == "validation_error"


def test_metrics_are_split_by_format_and_mode() -> None:
    tasks = [
        [{"schema_type": "json", "response_mode": "text", "reward": 1.0}],
        [{"schema_type": "xml", "response_mode": "text", "reward": 0.0}],
    ]

    metrics = StructuredOutputs().compute_metrics(tasks)

    assert metrics == {"mean/reward_json": 1.0, "mean/reward_text": 0.5, "mean/reward_xml": 0.0}
