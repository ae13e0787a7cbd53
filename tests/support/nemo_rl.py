"""What NeMo RL makes of a result (CONTRACT 11.3), written down from its public description: the messages with
their tokens, the reward with its components, the metrics, and the errors that end a training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

CALL_TAGS = ("<tool_call>", "</tool_call>", "<function_call>", "</function_call>")
THINKING = ("<think>", "</think>")


@dataclass(frozen=True)
class Sample:
    """A result as a training step takes it."""

    messages: list[dict[str, Any]]
    """Tokens that the prompt adds (user), then those of the policy (assistant), in turn."""
    reward: float
    components: Mapping[str, float]
    metrics: Mapping[str, float]
    """The numbers of the result itself, which are averaged for each agent."""
    masked: bool
    is_invalid_tool_call: bool
    has_malformed_thinking: bool

    @property
    def token_ids(self) -> list[int]:
        return [token for message in self.messages for token in message["token_ids"]]

    @property
    def trained(self) -> list[bool]:
        return [one["role"] == "assistant" for one in self.messages for _ in one["token_ids"]]


def post_process(result: Mapping[str, Any], *, router_replay: bool = False) -> Sample:
    """The sample of a result.

    Raises:
        AssertionError: its prompts don't continue each other, or its components are not its reward.
        RuntimeError: a log-probability is not a number.
        ValueError: it has nothing to train on.
    """
    output = result["response"]["output"]
    messages, seen = [], list[int]()
    for item in output:
        if not item.get("generation_token_ids"):
            continue
        prompt, sampled = item["prompt_token_ids"], item["generation_token_ids"]
        log_probs = item["generation_log_probs"]
        assert prompt[: len(seen)] == seen, "the tokens of successive calls are not contiguous"
        assert len(sampled) == len(log_probs), "as many log-probabilities as sampled tokens"
        if any(map(math.isnan, log_probs)):
            raise RuntimeError("a log-probability is not a number")
        message = {"role": "assistant", "token_ids": sampled, "generation_logprobs": log_probs}
        if router_replay:
            assert len(item["routed_experts"]) >= len(prompt) + len(sampled), "experts of every token"
            message["routed_experts"] = item["routed_experts"]
        messages += [{"role": "user", "token_ids": prompt[len(seen) :]}, message]
        seen = [*prompt, *sampled]
    if not messages:
        raise ValueError("no item of the response has tokens: does the model server return them?")
    assert result["responses_create_params"]["input"], "the prompt is logged"
    reward, components = float(result["reward"]), result.get("reward_components") or {}
    if components:
        total = sum(components.values())
        assert math.isclose(total, reward, rel_tol=1e-5, abs_tol=1e-6), "the components sum to the reward"
    texts = [text for item in output for text in _texts(item)]
    return Sample(
        messages=messages,
        reward=reward,
        components=components,
        metrics={name: float(value) for name, value in result.items() if isinstance(value, int | float)},
        masked=bool(result.get("mask_sample")),
        is_invalid_tool_call=any(tag in text for text in texts for tag in CALL_TAGS),
        has_malformed_thinking=any(len({text.count(tag) for tag in THINKING}) > 1 for text in texts),
    )


def reward_columns(samples: Iterable[Sample]) -> dict[str, list[float]]:
    """The columns `reward/<name>` of a batch; a component that a sample lacks is 0."""
    batch = list(samples)
    names = sorted({name for sample in batch for name in sample.components})
    return {f"reward/{name}": [sample.components.get(name, 0.0) for sample in batch] for name in names}


def _texts(item: Mapping[str, Any]) -> list[str]:
    if item.get("type", "message") != "message" or item.get("role") != "assistant":
        return []
    content = item["content"]
    return [content] if isinstance(content, str) else [part.get("text", "") for part in content]
