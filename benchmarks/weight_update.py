"""How long rollouts wait for new weights: 512 in flight on a random model of `transformers` in this process.

    .peers/hf/bin/python benchmarks/weight_update.py

Prints one JSON object, with times in milliseconds. Every forward pass gives each rollout in flight a token.
An update can make one of them later by the time in which the weights are exchanged, and by the time in which
they are copied before, as the copy takes a core from the pass that runs. Their sum is the stall.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from nemo_gym.models.policies import Sampling
from nemo_gym.models.policies.hf import HFPolicy
from nemo_gym.models.policies.hf_rows import Row

ROLLOUTS = 512
UPDATES = 20
TOKENS_BETWEEN = 8


class Tokens:
    """A tokenizer without an end token: every answer has its full length."""

    eos_token_id = -1


class TimedPolicy(HFPolicy):
    """Notes when each token of the batch is there, and what every update takes."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        super().__init__(model, tokenizer)
        self.moments: list[float] = []
        self.copies: list[float] = []
        self.swaps: list[float] = []

    def _advance(self, arrivals: Any) -> Any:
        ended = super()._advance(arrivals)
        self.moments.append(time.perf_counter() * 1000)
        return ended

    def _ready_weights(self, weights: Any) -> Any:
        with timed(self.copies):
            return super()._ready_weights(weights)

    def _give(self, work: Any) -> None:
        super()._give(work if isinstance(work, Row) else partial(self._timed_swap, work))

    def _timed_swap(self, swap: Any) -> None:
        with timed(self.swaps):
            swap()


@contextmanager
def timed(times: list[float]) -> Iterator[None]:
    """Add the milliseconds of a block."""
    began = time.perf_counter()
    yield
    times.append((time.perf_counter() - began) * 1000)


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
    gaps = [later - earlier for earlier, later in pairwise(policy.moments[2:])]
    stalls = [copy + swap for copy, swap in zip(policy.copies, policy.swaps, strict=True)]
    figures = {
        "rollouts": ROLLOUTS,
        "parameters": policy.model.num_parameters(),
        "gap_ms": statistics.median(gaps),
        "updates": len(stalls),
        "longest_swap_ms": max(policy.swaps),
        "longest_stall_ms": max(stalls),
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
