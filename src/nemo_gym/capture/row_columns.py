"""Columns of a rollout's row about captured calls: `ng_model_call_capture`, `ng_trajectory`,
`_ng_token_capture` and `mask_sample`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from nemo_gym.capture.capture_records import call_record, capture_column, capture_gaps
from nemo_gym.capture.trajectory import empty_trajectory, trajectory_call, trajectory_task_id
from nemo_gym.wire import keys
from nemo_gym.wire.call_tree import Branch
from nemo_gym.wire.items import message_text
from nemo_gym.wire.model_call import Captured, ModelCall, token_entry
from nemo_gym.wire.response import Response, Usage, add_usage
from nemo_gym.wire.task import Row


def main_response(branches: Sequence[Branch]) -> Response:
    """The main branch as one Response, with the usage of all calls of the rollout. An empty Response
    without branches."""
    if not branches:
        return Response.of([])
    main = branches[0]
    usage: Usage | None = None
    for branch in branches:
        for call in branch.calls:
            usage = add_usage(usage, _answer(call).usage)
    last = _answer(main.calls[-1]).data
    return Response({**last, "output": main.trainable_items, "usage": usage})


def capture_columns(
    row: Row, rollout_id: str, captured: Captured, branches: Sequence[Branch]
) -> dict[str, Any]:
    """The columns with every captured call and every branch."""
    lines = [msgspec.structs.asdict(call) for call in captured.calls]
    return {
        keys.MODEL_CALL_CAPTURE: capture_column(rollout_id, lines, incomplete=captured.incomplete),
        **tree_columns(row, rollout_id, captured, branches),
    }


def tree_columns(
    row: Row,
    rollout_id: str,
    captured: Captured,
    branches: Sequence[Branch],
    *,
    strategy: str = "prefix_merging",
) -> dict[str, Any]:
    """The columns with every branch, the evidence for it, and whether the main branch may be trained on."""
    nothing = "capture_incomplete" if captured.incomplete else "no_calls"
    masked = branches[0].mask if branches else nothing
    return {
        keys.TRAJECTORY: _trajectory(row, rollout_id, captured, branches),
        keys.TOKEN_CAPTURE: {
            "rollout_id": rollout_id,
            "strategy": strategy,
            "calls": len(captured.calls),
            "calls_with_tokens": sum(token_entry(call) is not None for call in captured.calls),
            "roots": sum(branch.parent is None for branch in branches),
            "masked": masked,
            "branches": [
                {
                    "invocation_id": _name(place),
                    "main": place == 0,
                    "model_call_ids": [call.model_call_id for call in branch.calls],
                    "evidence": branch.evidence,
                    "after": branch.after,
                    "masked": branch.mask,
                }
                for place, branch in enumerate(branches)
            ],
        },
        keys.MASK_SAMPLE: masked is not None,
    }


def _trajectory(row: Row, rollout_id: str, captured: Captured, branches: Sequence[Branch]) -> dict[str, Any]:
    task_id = trajectory_task_id(row)
    invocations: list[dict[str, Any]] = []
    turns: list[dict[str, Any]] = []
    for place, branch in enumerate(branches):
        name = _name(place)
        invocations.append(
            {
                "kind": "agent_invocation",
                "invocation_id": name,
                "parent_invocation_id": None if branch.parent is None else _name(branch.parent),
                "status": "completed",
                "model_calls": [{"model_call_id": call.model_call_id} for call in branch.calls],
                "conversation": [*branch.opening, *branch.items],
            }
        )
        turns.append(_turn(name, branch, task_id, rollout_id))
    return {
        **empty_trajectory(task_id, rollout_id),
        "invocations": invocations,
        "turns": turns,
        "model_calls": [_model_call(place, call) for place, call in enumerate(captured.calls)],
        "gaps": [
            *capture_gaps(len(captured.calls), incomplete=captured.incomplete),
            {"code": "tool_calls_unobserved", "detail": "tools ran inside the agent's program"},
        ],
    }


def _turn(name: str, branch: Branch, task_id: str, rollout_id: str) -> dict[str, Any]:
    messages = [item for item in branch.opening if item["type"] == "message" and item["role"] == "user"]
    last = _answer(branch.calls[-1])
    return {
        "invocation_id": name,
        "task_id": task_id,
        "rollout_id": rollout_id,
        "turn_no": 1,
        "timestamp": datetime.fromtimestamp(branch.calls[0].started_at, UTC).isoformat(),
        "question": message_text(messages[-1]) if messages else "",
        "answer": last.output_text,
        "reasoning_content": _record(0, branch.calls[-1])["reasoning_content"],
        "step_count": len(branch.calls),
        "model_calls": [{"model_call_id": call.model_call_id} for call in branch.calls],
    }


def _model_call(place: int, call: ModelCall) -> dict[str, Any]:
    """Request and response are in `ng_model_call_capture` and not repeated here."""
    return {**trajectory_call(_record(place, call)), "request": None, "response": None}


def _record(place: int, call: ModelCall) -> dict[str, Any]:
    return call_record(msgspec.structs.asdict(call), place)


def _answer(call: ModelCall) -> Response:
    return Response(call.answer or {"output": []})


def _name(place: int) -> str:
    return "main" if place == 0 else f"branch_{place}"
