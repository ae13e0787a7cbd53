"""Trajectories in the Agent Trajectory Interchange Format, as NeMo Data Designer reads them."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from nemo_gym.training.exports.conversation import Message
from nemo_gym.training.exports.formats import origin
from nemo_gym.training.exports.selection import Example
from nemo_gym.wire.task import named_agent

VERSION: Final = "ATIF-v1.4"
_SOURCES: Final = {"assistant": "agent", "system": "system"}


def trajectory(example: Example, run: str) -> dict[str, Any]:
    """One rollout: a step for each message; tool results belong to the step with their calls."""
    rollout = example.rollout
    usage = rollout.response.usage if rollout.response is not None else None
    return {
        "schema_version": VERSION,
        "session_id": name(example, run),
        "agent": {
            "name": named_agent(rollout.row) or "nemo_gym",
            "version": "1",
            "model_name": origin(example, run)["model"],
        },
        "steps": _steps(example.conversation.messages),
        "final_metrics": {
            "total_prompt_tokens": usage["input_tokens"] if usage else 0,
            "total_completion_tokens": usage["output_tokens"] if usage else 0,
            "total_steps": len(example.conversation.messages),
        },
        "extra": {**origin(example, run), "tools": example.conversation.tools},
    }


def name(example: Example, run: str) -> str:
    """The id of a trajectory, which its file has as its name."""
    return f"{run or 'run'}-{example.rollout.task_index}-{example.rollout.rollout_index}"


def _steps(messages: list[Message]) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    for message in messages:
        if message["role"] == "tool" and steps:
            results = steps[-1].setdefault("observation", {"results": []})["results"]
            results.append({"source_call_id": message["tool_call_id"], "content": message["content"]})
            continue
        step: dict[str, Any] = {
            "step_id": len(steps) + 1,
            "source": _SOURCES.get(message["role"], "user"),
            "message": message["content"],
        }
        if message.get("reasoning_content"):
            step["reasoning_content"] = message["reasoning_content"]
        if message.get("tool_calls"):
            step["tool_calls"] = [_call(call) for call in message["tool_calls"]]
        steps.append(step)
    return steps


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    return {
        "tool_call_id": call["id"],
        "function_name": function["name"],
        "arguments": msgspec.json.decode(function["arguments"]),
    }
