"""The parts of a trajectory that every builder shares."""

from __future__ import annotations

from typing import Any

import pytest

from nemo_gym.capture.capture_records import call_record
from nemo_gym.capture.trajectory import empty_trajectory, trajectory_call, trajectory_task_id
from nemo_gym.compat.rollout_observability import TrajectoryModelCall, TrajectoryRecord

LINE: dict[str, Any] = {
    "model_call_id": "one",
    "dialect": "responses",
    "model_ref": "policy",
    "latency_ms": 3.0,
    "status_code": 200,
    "request": {"input": []},
    "response": {
        "id": "resp",
        "model": "m",
        "status": "completed",
        "usage": {"input_tokens": 5, "output_tokens": 2},
    },
}


def test_the_shapes_are_those_that_existing_code_reads() -> None:
    assert TrajectoryRecord.model_validate(empty_trajectory("3", "3-1")).task_id == "3"
    call = TrajectoryModelCall.model_validate(trajectory_call(call_record(LINE, 0)))
    assert call.response_metadata.response_status == "completed"
    assert (call.token_stats.prompt_tokens, call.token_stats.total_tokens) == (5, 7)
    assert (call.duration_ms, call.token_stats.cached_tokens) == (3.0, None)


def test_a_status_that_the_record_lacks_is_read_from_the_response() -> None:
    record = {**call_record(LINE, 0), "response_status": None}
    assert trajectory_call(record)["response_metadata"]["response_status"] == "completed"


@pytest.mark.parametrize(
    ("row", "task_id"),
    [
        ({"task_id": "a", "instance_id": "b"}, "a"),
        ({"instance_id": "b", "_ng_task_index": 4}, "b"),
        ({"_ng_task_index": 0}, "0"),
        ({}, ""),
    ],
)
def test_the_task_of_a_row_is_its_own_id_else_its_place(row: dict[str, Any], task_id: str) -> None:
    assert trajectory_task_id(row) == task_id
