"""The columns that an earlier run, with everything captured, left in a row."""

from __future__ import annotations

from typing import Any, Final

IDENTITY: Final[dict[str, Any]] = {
    "_ng_task_index": 0,
    "_ng_rollout_index": 1,
    "_ng_attempt_index": 1,
    "_ng_rollout_id": "abc",
}
DETAILS: Final[dict[str, Any]] = {
    "mask_sample": True,
    "_ng_token_capture": {"masked": "no_tokens", "branches": []},
    "ng_trajectory": {"invocations": []},
    "ng_model_call_capture": {"calls": []},
    "ng_agent_observations": {"source": "command", "records": [], "gaps": []},
    "ng_asked_models": {},
    "ng_sandbox": {},
    "ng_step_rewards": [0.5],
    "verification_skipped": True,
}
COLUMNS: Final[dict[str, Any]] = {
    **IDENTITY,
    "agent_ref": {"name": "tool_loop"},
    "ng_weight_versions": [1, 2],
    "response": {"output": []},
    "reward": 0.5,
    "reward_components": {"right": 0.5},
    "ng_outcome": "completed",
    "ng_timing": {},
    "ng_tool_calls": {},
    **DETAILS,
}
