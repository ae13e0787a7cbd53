"""What a rollout's row tells about captured calls: `ng_model_call_capture`, `ng_trajectory`, `mask_sample`
(CONTRACT 5.8-5.10, Appendix B)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from nemo_gym.wire import keys
from nemo_gym.wire.call_tree import Branch
from nemo_gym.wire.calls import Captured, ModelCall, token_entry
from nemo_gym.wire.items import message_text
from nemo_gym.wire.response import Response, Usage, add_usage
from nemo_gym.wire.task import Row


def main_response(branches: Sequence[Branch]) -> Response:
    """The main branch as one Response: what it made, and the usage of every call of the rollout. Without
    any branch an empty one."""
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
    """The columns that hold every captured call and every branch."""
    records = [_record(place, call) for place, call in enumerate(captured.calls)]
    gaps: list[dict[str, Any]] = []
    if captured.incomplete:
        gaps.append({"code": "capture_incomplete", "detail": "a model call is missing"})
    names = [_name(place) for place in range(len(branches))]
    return {
        "ng_model_call_capture": {
            "rollout_id": rollout_id,
            "metrics": _metrics(records),
            "calls": records,
            "gaps": gaps,
        },
        "ng_trajectory": _trajectory(row, rollout_id, captured, branches, gaps),
        "_ng_token_capture": {
            "strategy": "prefix_merging",
            "calls": len(captured.calls),
            "calls_with_tokens": sum(token_entry(call) is not None for call in captured.calls),
            "roots": sum(branch.parent is None for branch in branches),
            "branches": [
                {
                    "invocation_id": name,
                    "main": place == 0,
                    "model_call_ids": [call.model_call_id for call in branch.calls],
                    "evidence": branch.evidence,
                    "after": branch.after,
                    "masked": branch.mask,
                }
                for place, (name, branch) in enumerate(zip(names, branches, strict=True))
            ],
        },
        "mask_sample": branches[0].mask is not None,
    }


def _trajectory(
    row: Row, rollout_id: str, captured: Captured, branches: Sequence[Branch], gaps: list[dict[str, Any]]
) -> dict[str, Any]:
    task_id = str(row.get("task_id") or row.get(keys.TASK_INDEX, 0))
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
        "schema_version": "1.0",
        "task_id": task_id,
        "rollout_id": rollout_id,
        "invocations": invocations,
        "turns": turns,
        "model_calls": [_model_call(place, call) for place, call in enumerate(captured.calls)],
        "tool_calls": [],
        "gaps": [*gaps, {"code": "tool_calls_unobserved", "detail": "tools ran inside the agent's program"}],
    }


def _turn(name: str, branch: Branch, task_id: str, rollout_id: str) -> dict[str, Any]:
    asked = [item for item in branch.opening if item["type"] == "message" and item["role"] == "user"]
    last = _answer(branch.calls[-1])
    return {
        "invocation_id": name,
        "task_id": task_id,
        "rollout_id": rollout_id,
        "turn_no": 1,
        "timestamp": datetime.fromtimestamp(branch.calls[0].started_at, UTC).isoformat(),
        "question": message_text(asked[-1]) if asked else "",
        "answer": last.output_text,
        "reasoning_content": _reasoning(last),
        "step_count": len(branch.calls),
        "model_calls": [{"model_call_id": call.model_call_id} for call in branch.calls],
    }


def _model_call(place: int, call: ModelCall) -> dict[str, Any]:
    """Request and response are in `ng_model_call_capture` and not repeated here."""
    record = _record(place, call)
    metadata = ("response_id", "model_ref", "model", "dialect", "status_code", "response_status")
    return {
        "model_call_id": call.model_call_id,
        "started_at": call.started_at,
        "completed_at": call.completed_at,
        "duration_ms": call.latency_ms,
        "request": None,
        "response": None,
        "response_metadata": {
            name: record[name] for name in (*metadata, "finish_reason", "error_category", "latency_ttft_ms")
        },
        "token_stats": {
            "prompt_tokens": record["tokens_in"],
            "completion_tokens": record["tokens_out"],
            "reasoning_tokens": record["tokens_reasoning"],
            "total_tokens": record["tokens_total"],
            "cached_tokens": record["cached_tokens"],
        },
    }


def _record(place: int, call: ModelCall) -> dict[str, Any]:
    """A `ModelCallRecord`."""
    answer = _answer(call)
    usage: Mapping[str, Any] = answer.usage or {}
    cached = (usage.get("input_tokens_details") or {}).get("cached_tokens")
    return {
        "model_call_id": call.model_call_id,
        "response_id": answer.data.get("id"),
        "call_index": place,
        "model_ref": call.model_ref or None,
        "model": answer.model or None,
        "dialect": call.dialect,
        "status_code": call.status_code,
        "response_status": answer.data.get("status"),
        "finish_reason": _finish_reason(call),
        "started_at": call.started_at,
        "completed_at": call.completed_at,
        "tokens_in": usage.get("input_tokens"),
        "tokens_out": usage.get("output_tokens"),
        "tokens_reasoning": (usage.get("output_tokens_details") or {}).get("reasoning_tokens"),
        "tokens_total": usage.get("total_tokens"),
        "request": call.request,
        "response": call.response,
        "tool_calls": [
            {"id": made["call_id"], "name": made["name"], "arguments": made["arguments"]}
            for made in answer.function_calls
        ],
        "reasoning_content": _reasoning(answer),
        "cache_hit": None if cached is None else cached > 0,
        "cached_tokens": cached,
        "error_category": call.error_category,
        "latency_total_ms": call.latency_ms,
        "latency_ttft_ms": call.latency_ttft_ms,
    }


def _metrics(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Sums over the calls; a count that no call reported is unknown."""
    sums: dict[str, Any] = {}
    for name in ("tokens_in", "tokens_out", "tokens_reasoning", "tokens_total", "cached_tokens"):
        known = [record[name] for record in records if record[name] is not None]
        sums[name] = sum(known) if known else None
    sums["latency_total_ms"] = sum(record["latency_total_ms"] for record in records)
    sums["num_calls"] = len(records)
    return sums


def _finish_reason(call: ModelCall) -> str | None:
    """The dialect's own word for how the answer ended."""
    match call.response:
        case {"stop_reason": str(reason)} | {"choices": [{"finish_reason": str(reason)}, *_]}:
            return reason
        case _:
            return _answer(call).incomplete_reason


def _reasoning(answer: Response) -> str | None:
    parts = [
        part.get("text", "")
        for item in answer.output
        if item["type"] == "reasoning"
        for part in [*item["summary"], *item.get("content", [])]
    ]
    return "".join(parts) or None


def _answer(call: ModelCall) -> Response:
    return Response(call.answer or {"output": []})


def _name(place: int) -> str:
    return "main" if place == 0 else f"branch_{place}"
