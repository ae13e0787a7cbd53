"""How long rollouts wait for new weights: 512 in flight on a random model of `transformers` in this process.

    .peers/hf/bin/python benchmarks/weight_update.py

Prints one JSON object. Every forward pass gives each rollout in flight a token, so the time between the ends
of two passes is what each waits for. Times in milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from itertools import pairwise
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from nemo_gym.models.policies import Sampling
from nemo_gym.models.policies.hf import HFPolicy

ROLLOUTS = 512
UPDATES = 20
TOKENS_BETWEEN = 8


class Tokens:
    """A tokenizer without an end token: every answer has its full length."""

    eos_token_id = -1


class TimedPolicy(HFPolicy):
    """Notes when each token of the batch is there, and the version that it was sampled by."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        super().__init__(model, tokenizer)
        self.moments: list[tuple[float, int]] = []

    def _advance(self, arrivals: Any) -> Any:
        ended = super()._advance(arrivals)
        self.moments.append((time.perf_counter() * 1000, self.version))
        return ended


async def run(policy: TimedPolicy) -> None:
    """Sample long answers, and give the policy new weights again and again."""
    most = TOKENS_BETWEEN * (UPDATES + 3)
    prompts = [[place % 1000 + 2] * 16 for place in range(ROLLOUTS)]
    tasks = [asyncio.create_task(policy.sample(prompt, Sampling(max_tokens=most))) for prompt in prompts]
    weights = {name: value.clone() for name, value in policy.model.state_dict().items()}
    for version in range(1, UPDATES + 1):
        while len(policy.moments) < TOKENS_BETWEEN * (version + 1):  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        await policy.update(weights, version)
    answers = await asyncio.gather(*tasks)
    assert all(set(answer.version) == set(range(UPDATES + 1)) for answer in answers)


def main() -> None:
    """Print the figures."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=4096, hidden_size=256, intermediate_size=1024, num_hidden_layers=4, num_attention_heads=4,
        max_position_embeddings=2048, eos_token_id=None, bos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    policy = TimedPolicy(LlamaForCausalLM(config), Tokens())
    policy.max_batch = ROLLOUTS
    asyncio.run(run(policy))
    moments, versions = zip(*policy.moments[2:], strict=True)
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    swaps = [place for place, pair in enumerate(pairwise(versions)) if pair[0] != pair[1]]
    # A forward pass takes longer the more tokens there are, so each is compared with those around it.
    stalls = [
        gaps[place] - statistics.median(gaps[place - 3 : place] + gaps[place + 1 : place + 4])
        for place in swaps
    ]
    figures = {
        "rollouts": ROLLOUTS,
        "parameters": policy.model.num_parameters(),
        "median_ms": statistics.median(gaps),
        "updates": len(swaps),
        "median_stall_ms": statistics.median(stalls),
        "longest_stall_ms": max(stalls),
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
