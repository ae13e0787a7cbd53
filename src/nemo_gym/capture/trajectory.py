"""The parts of `ng_trajectory` that are the same for captured and uncaptured agents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from nemo_gym.wire import keys
from nemo_gym.wire.json_values import object_of, text_of


def empty_trajectory(task_id: str, rollout_id: str) -> dict[str, Any]:
    """A trajectory without invocations, turns and calls."""
    return {
        "schema_version": "1.0",
        "task_id": task_id,
        "rollout_id": rollout_id,
        "invocations": [],
        "turns": [],
        "model_calls": [],
        "tool_calls": [],
        "gaps": [],
    }


def trajectory_task_id(row: Mapping[str, Any]) -> str:
    """The id of the task of a row; empty for a row without one."""
    for name in ("task_id", "instance_id", keys.TASK_INDEX):
        if row.get(name) is not None:
            return str(row[name])
    return ""


def trajectory_call(record: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of `model_calls`, from a record that `capture_records.call_record` has built."""
    status = record["response_status"] or text_of(object_of(record["response"]).get("status")) or None
    return {
        "model_call_id": record["model_call_id"],
        "started_at": record["started_at"],
        "completed_at": record["completed_at"],
        "duration_ms": record["latency_total_ms"],
        "request": record["request"],
        "response": record["response"],
        "response_metadata": {**{name: record[name] for name in _METADATA}, "response_status": status},
        "token_stats": {name: record[source] for name, source in _TOKEN_STATS.items()},
    }


_METADATA: Final = (
    "response_id", "model_ref", "model", "dialect", "status_code", "response_status", "finish_reason",
    "error_category", "latency_ttft_ms",
)  # fmt: skip
_TOKEN_STATS: Final = {
    "prompt_tokens": "tokens_in",
    "completion_tokens": "tokens_out",
    "reasoning_tokens": "tokens_reasoning",
    "total_tokens": "tokens_total",
    "cached_tokens": "cached_tokens",
}
