"""The columns that hold captured calls have the fields of the contract (Appendix B) and no others."""

from __future__ import annotations

from typing import Any

from nemo_gym.capture.row_columns import capture_columns, main_response
from nemo_gym.wire.call_tree import call_tree
from nemo_gym.wire.items import Item, assistant, function_call, function_call_output, user
from nemo_gym.wire.model_call import Captured, ModelCall

RECORD = {
    "model_call_id", "response_id", "call_index", "model_ref", "model", "dialect", "status_code",
    "response_status", "finish_reason", "started_at", "completed_at", "tokens_in", "tokens_out",
    "tokens_reasoning", "tokens_total", "request", "response", "request_raw", "response_raw", "tool_calls",
    "reasoning_content", "cache_hit", "cached_tokens", "cache_creation_tokens", "error_category",
    "latency_total_ms", "latency_ttft_ms",
}  # fmt: skip
TRAJECTORY = {
    "schema_version", "task_id", "rollout_id", "invocations", "turns", "model_calls", "tool_calls", "gaps",
}  # fmt: skip
INVOCATION = {
    "kind", "invocation_id", "parent_invocation_id", "spawned_by_tool_call_id", "status", "duration_ms",
    "error_type", "model_calls", "conversation",
}  # fmt: skip


def call(name: str, asked: list[Item], made: list[Item], *, cached: int | None = None) -> ModelCall:
    usage = {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": None},
        "total_tokens": 14,
    }
    return ModelCall(
        rollout_id="3-1",
        model_call_id=name,
        dialect="chat",
        started_at=10.0,
        completed_at=12.0,
        latency_ms=2000.0,
        status_code=200,
        request={"messages": []},
        response={"choices": [{"finish_reason": "stop"}]},
        params={"input": asked},
        answer={"id": f"resp_{name}", "model": "m", "output": made, "usage": usage, "status": "completed"},
    )


def columns(captured: Captured) -> dict[str, Any]:
    row = {"_ng_task_index": 3, "_ng_rollout_index": 1}
    return capture_columns(row, "3-1", captured, call_tree(captured, prompt="Look."))


LOOK, LISTED = function_call("bash", "{}", call_id="c1"), function_call_output("c1", "a.py")
CAPTURED = Captured(
    [
        call("1", [user("Look.")], [LOOK], cached=0),
        call("side", [user("A title, please.")], [assistant("Title")], cached=6),
        call("2", [user("Look."), LOOK, LISTED], [assistant("Only a.py.")], cached=8),
    ]
)


def test_records_and_trajectories_have_the_fields_of_the_contract_only() -> None:
    made = columns(CAPTURED)
    capture, trajectory = made["ng_model_call_capture"], made["ng_trajectory"]
    assert set(capture) == {"rollout_id", "metrics", "calls", "gaps"}
    assert all(set(record) <= RECORD for record in capture["calls"])
    assert set(trajectory) == TRAJECTORY
    assert all(set(invocation) <= INVOCATION for invocation in trajectory["invocations"])


def test_sums_count_every_call() -> None:
    metrics = columns(CAPTURED)["ng_model_call_capture"]["metrics"]
    assert metrics == {
        "tokens_in": 30, "tokens_out": 12, "tokens_reasoning": None, "tokens_total": 42, "cached_tokens": 14,
        "latency_total_ms": 6000.0, "num_calls": 3,
    }  # fmt: skip


def test_a_record_says_how_the_call_ended_and_what_it_called_for() -> None:
    first, side, _ = columns(CAPTURED)["ng_model_call_capture"]["calls"]
    assert first["tool_calls"] == [{"call_id": "c1", "name": "bash", "arguments": {}}]
    assert (first["finish_reason"], first["response_id"], first["call_index"]) == ("stop", "resp_1", 0)
    assert (first["cache_hit"], side["cache_hit"]) == (False, True)


def test_every_branch_is_an_invocation_with_its_conversation() -> None:
    main, side = columns(CAPTURED)["ng_trajectory"]["invocations"]
    assert main["invocation_id"] == "main"
    assert main["conversation"] == [user("Look."), LOOK, LISTED, assistant("Only a.py.")]
    assert side["model_calls"] == [{"model_call_id": "side"}]


def test_the_response_is_the_main_branch_with_the_usage_of_all_calls() -> None:
    response = main_response(call_tree(CAPTURED, prompt="Look."))
    assert response.output == [LOOK, LISTED, assistant("Only a.py.")]
    assert response.usage is not None
    assert response.usage["total_tokens"] == 42
    assert main_response([]).output == []


def test_an_incomplete_capture_is_a_gap_and_masks_the_sample() -> None:
    made = columns(Captured(CAPTURED.calls, incomplete=True))
    assert made["mask_sample"] is True
    assert made["ng_model_call_capture"]["gaps"][0]["code"] == "model_call_capture_incomplete"
    assert {branch["masked"] for branch in made["_ng_token_capture"]["branches"]} == {"capture_incomplete"}
