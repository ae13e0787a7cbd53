"""The keys of task rows and rollout rows that this package reads and writes, each with its meaning.

A key stands here once, as a constant, and so do the sets of keys that several modules need.
"""

from __future__ import annotations

from typing import Final

PREFIX: Final = "_ng_"
"""The beginning of the keys of a row that are no columns of its task or its verifier."""

# The identity of a rollout.
TASK_INDEX: Final = "_ng_task_index"
"""The number of the task in the run. A task row may have one."""
ROLLOUT_INDEX: Final = "_ng_rollout_index"
"""The number of the repeat of the task, from 0."""
ATTEMPT_INDEX: Final = "_ng_attempt_index"
"""How many attempts at this repeat failed before; missing at the first attempt."""
ROLLOUT_ID: Final = "_ng_rollout_id"
"""The id under which the rollout's model calls are captured. A task row may have one."""
IDENTITY: Final = frozenset({TASK_INDEX, ROLLOUT_INDEX, ATTEMPT_INDEX, ROLLOUT_ID})
"""Keys that say which rollout a row is."""

# What is asked.
AGENT_REF: Final = "agent_ref"
"""The agent of the row, `{"name": ...}`. The plan adds it to a task row without one."""
PARAMS: Final = "responses_create_params"
"""The request for the model."""
VERIFIER_METADATA: Final = "verifier_metadata"
"""An object with what the verifier needs."""
SKILLS_REF: Final = "skills_ref"
"""The skills that the run gives to the agent."""
PROMPT_CONFIG_USED: Final = "prompt_config_used"
"""The name of the prompt that the run made the input with."""
MODEL_NUMBER: Final = "_ng_model_number"
"""The number of the rollout's own model, in the process that has one for each rollout. No file has it."""
WEIGHT_VERSIONS: Final = "ng_weight_versions"
"""The versions of the policy at the start and at the end of the rollout's group."""
STEP_REQUEST_ID: Final = "_ng_step_request_id"
"""In the body of a step only: the id of the step, by which a repeated request is not applied twice."""

# The result.
RESPONSE: Final = "response"
"""The whole trajectory, as one Response."""
REWARD: Final = "reward"
REWARD_COMPONENTS: Final = "reward_components"
"""The components as the verifier returned them, without weights."""
REWARD_WEIGHTS: Final = "ng_reward_weights"
"""The weights of components that the reward was computed with."""
REWARD_SHAPING: Final = "ng_reward_shaping"
"""What each shape subtracted from the reward, and why."""
OUTCOME: Final = "ng_outcome"
"""How the loop ended."""
TIMING: Final = "ng_timing"
"""The times of the rollout in seconds."""
TOOL_CALLS: Final = "ng_tool_calls"
"""By the name of a tool its calls and errors."""

# The failure.
FAILURE_CLASS: Final = "_ng_failure_class"
"""The kind of the failure; a row with it has no reward."""
FAILURE_TERMINAL: Final = "_ng_failure_terminal"
"""True if the rollout is not tried again."""
FAILURE_ERROR: Final = "_ng_failure_error"
"""The message."""
FAILURE_HTTP_STATUS: Final = "_ng_failure_http_status"
FAILURE_BODY: Final = "_ng_failure_body"
"""The body of the answer that failed."""
FAILURE_TRACEBACK: Final = "_ng_failure_traceback"
FAILURE_JUDGE_ERROR: Final = "_ng_failure_judge_error"
"""The message of a judge that failed."""
NO_PERSIST: Final = "_ng_no_persist"
"""True if the program was shut down meanwhile, so that the row is written nowhere."""

# Details of the result.
SANDBOX: Final = "ng_sandbox"
"""How the sandboxes of a session were isolated from the machine, by provider."""
ASKED_MODELS: Final = "ng_asked_models"
"""By the name of a model that the environment asked, the calls and the answers."""
STEP_REWARDS: Final = "ng_step_rewards"
"""The reward of each step of an episode."""
VERIFICATION_SKIPPED: Final = "verification_skipped"
"""True if the reward is a constant, without the verifier."""
AGENT_OBSERVATIONS: Final = "ng_agent_observations"
"""What the agent reports about its tools and its sandbox."""
MODEL_CALL_CAPTURE: Final = "ng_model_call_capture"
"""Every captured model call, with metrics."""
TRAJECTORY: Final = "ng_trajectory"
"""The observed trajectory: every branch as an invocation with its conversation."""
TOKEN_CAPTURE: Final = "_ng_token_capture"
"""The evidence for each branch, and the reason if it is masked."""
MASK_SAMPLE: Final = "mask_sample"
"""True if a trainer must not use the main branch."""

CAPTURE_KEYS: Final = frozenset({MODEL_CALL_CAPTURE, TRAJECTORY, TOKEN_CAPTURE, MASK_SAMPLE})
"""Columns about the captured model calls."""
DETAIL_KEYS: Final = CAPTURE_KEYS | {
    *(SANDBOX, ASKED_MODELS, STEP_REWARDS, VERIFICATION_SKIPPED, AGENT_OBSERVATIONS)
}
"""Columns of a result that are among a rollout's details."""
RESULT_KEYS: Final = DETAIL_KEYS | {
    *(RESPONSE, REWARD, REWARD_COMPONENTS, REWARD_WEIGHTS, REWARD_SHAPING, OUTCOME, TIMING, TOOL_CALLS),
    *(FAILURE_CLASS, FAILURE_TERMINAL, FAILURE_ERROR, FAILURE_HTTP_STATUS, FAILURE_BODY, FAILURE_TRACEBACK),
    *(FAILURE_JUDGE_ERROR, NO_PERSIST),
}
"""Keys that only a result may have."""
RESERVED: Final = (RESULT_KEYS - DETAIL_KEYS) | IDENTITY | {AGENT_REF, PARAMS}
"""Keys whose meaning is fixed: no column of a verifier may use them."""
RUN_KEYS: Final = RESULT_KEYS | IDENTITY | {WEIGHT_VERSIONS}
"""Keys that belong to one run: a row without them is the task, with the agent that it names."""
NOT_TASK: Final = RUN_KEYS | {AGENT_REF}
"""The same with the agent: a row without them is the task alone."""
