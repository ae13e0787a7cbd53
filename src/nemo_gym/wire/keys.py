"""Names of the fields that other programs read in rows."""

from __future__ import annotations

from typing import Final

TASK_INDEX: Final = "_ng_task_index"
ROLLOUT_INDEX: Final = "_ng_rollout_index"
ATTEMPT_INDEX: Final = "_ng_attempt_index"
ROLLOUT_ID: Final = "_ng_rollout_id"
AGENT_REF: Final = "agent_ref"
SKILLS_REF: Final = "skills_ref"
PROMPT_CONFIG_USED: Final = "prompt_config_used"
PARAMS: Final = "responses_create_params"
RESPONSE: Final = "response"
REWARD: Final = "reward"
REWARD_COMPONENTS: Final = "reward_components"
"""The components as the verifier returned them, without weights."""
REWARD_WEIGHTS: Final = "ng_reward_weights"
"""The weights of components that the reward was computed with."""
REWARD_SHAPING: Final = "ng_reward_shaping"
"""What each shape subtracted from the reward, and why."""

FAILURE_CLASS: Final = "_ng_failure_class"
FAILURE_TERMINAL: Final = "_ng_failure_terminal"
FAILURE_ERROR: Final = "_ng_failure_error"
FAILURE_HTTP_STATUS: Final = "_ng_failure_http_status"
FAILURE_BODY: Final = "_ng_failure_body"
FAILURE_TRACEBACK: Final = "_ng_failure_traceback"
FAILURE_JUDGE_ERROR: Final = "_ng_failure_judge_error"
NO_PERSIST: Final = "_ng_no_persist"

OUTCOME: Final = "ng_outcome"
TIMING: Final = "ng_timing"
TOOL_CALLS: Final = "ng_tool_calls"
SANDBOX: Final = "ng_sandbox"
"""How the sandboxes of a session were isolated from the machine, by provider."""
ASKED_MODELS: Final = "ng_asked_models"
STEP_REWARDS: Final = "ng_step_rewards"
"""The reward of each step of an episode."""

DETAIL_KEYS: Final = frozenset({SANDBOX, ASKED_MODELS, STEP_REWARDS})
"""Columns of a result that are among a rollout's details."""
RESULT_KEYS: Final = frozenset(
    {RESPONSE, REWARD, REWARD_COMPONENTS, REWARD_WEIGHTS, REWARD_SHAPING, NO_PERSIST, OUTCOME, TIMING}
    | {FAILURE_CLASS, FAILURE_TERMINAL, FAILURE_ERROR, FAILURE_HTTP_STATUS, FAILURE_BODY, FAILURE_JUDGE_ERROR}
    | {FAILURE_TRACEBACK, TOOL_CALLS}
    | DETAIL_KEYS
)
"""Keys that only a result may have. The plan drops those of an earlier result from an input row."""

RESERVED: Final = (RESULT_KEYS - DETAIL_KEYS) | {
    *(TASK_INDEX, ROLLOUT_INDEX, ATTEMPT_INDEX, ROLLOUT_ID, AGENT_REF, PARAMS)
}
"""Keys whose meaning is fixed: no column of a verifier may use them."""
