"""Rollouts with tokens, for the tests of what trainers get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nemo_gym.wire.items import assistant, function_call, function_call_output, user
from nemo_gym.wire.response import Response
from nemo_gym.wire.rollout import Reward, Rollout

Turn = tuple[Sequence[int], Sequence[int]]
"""The tokens that the prompt of a call adds, and those that are sampled."""


def with_tokens(item: Any, prompt: Sequence[int], sampled: Sequence[int], **more: Any) -> Any:
    """An item that carries the tokens of a model call."""
    return {
        **item,
        "prompt_token_ids": list(prompt),
        "generation_token_ids": list(sampled),
        "generation_log_probs": [-0.25] * len(sampled),
        **more,
    }


def chain(turns: Sequence[Turn], **more: Any) -> list[Any]:
    """The items of calls that continue each other."""
    items: list[Any] = []
    seen: list[int] = []
    for added, sampled in turns:
        prompt = [*seen, *added]
        items += [with_tokens(assistant("words"), prompt, sampled, **more), user("next")]
        seen = [*prompt, *sampled]
    return items


def scored(
    items: Sequence[Any], reward: float = 1.0, *, task: int = 0, repeat: int = 0, **row: Any
) -> Rollout:
    """A scored rollout of a task."""
    params = {"input": [user(f"task {task}")]}
    whole = {"_ng_task_index": task, "_ng_rollout_index": repeat, "responses_create_params": params, **row}
    return Rollout.scored(whole, Response.of(list(items)), Reward(reward))


def tool_rollout(
    reward: float = 1.0, *, task: int = 0, repeat: int = 0, arguments: str = '{"city":"Oslo"}'
) -> Rollout:
    """A rollout with reasoning, a tool call and an answer."""
    items: list[Any] = [
        {"type": "reasoning", "id": "rs_0", "summary": [{"type": "summary_text", "text": "I look it up."}]},
        function_call("weather", arguments, call_id="c1"),
        function_call_output("c1", "rain, 4 °C"),
        assistant(f"It rains ({repeat})."),
    ]
    tool = {
        "type": "function",
        "name": "weather",
        "description": "",
        "parameters": {"type": "object"},
        "strict": True,
    }
    params = {"input": [user(f"How is the weather? ({task})")], "instructions": "Be short.", "tools": [tool]}
    row = {
        "_ng_task_index": task,
        "_ng_rollout_index": repeat,
        "agent_ref": {"name": "weather_agent"},
        "responses_create_params": params,
    }
    return Rollout.scored(row, Response.of(items), Reward(reward))
