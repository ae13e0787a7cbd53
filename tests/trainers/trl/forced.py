"""An environment with a tool, a tiny random model, and a policy that samples a script's tokens from it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from nemo_gym import Environment, Response, Session, Task, ask, tool
from nemo_gym.models.policies.hf import HFPolicy
from nemo_gym.training import Sampled, Sampling
from tests.support.hf_tokenizer import chat_tokenizer


class Adder(Environment):
    """Add two numbers with a tool."""

    class Task(Task):
        a: int

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[Any]:
        return ({"responses_create_params": ask(f"{a} + 2 = ?"), "a": a} for a in range(n or 8))

    @tool
    async def add(self, a: int, b: int) -> str:
        """Add two numbers."""
        return str(a + b)

    async def verify(self, task: Adder.Task, response: Response, session: Session) -> float:
        return float(response.final_text == str(task.a + 2))


class SpyTokenizer(PreTrainedTokenizerFast):
    """Keeps every text that is tokenised."""

    texts: list[str]

    def encode(self, text: Any, *arguments: Any, **options: Any) -> list[int]:
        self.__dict__.setdefault("texts", []).append(text)
        return super().encode(text, *arguments, **options)


def tokenizer() -> SpyTokenizer:
    return chat_tokenizer(SpyTokenizer)


class Script:
    """The tokens of answers to prompts: first a call of the tool, then its result. Every second is wrong."""

    def __init__(self, spy: SpyTokenizer) -> None:
        self.tokenizer = spy
        self.count = 0

    def ids(self, prompt: list[int]) -> list[int]:
        answer = self.text(self.tokenizer.decode(prompt, skip_special_tokens=False))
        return PreTrainedTokenizerFast.encode(self.tokenizer, f"{answer}<|im_end|>", add_special_tokens=False)

    def text(self, prompt: str) -> str:
        if "<|im_start|>tool\n" in prompt:
            self.count += 1
            result = prompt.rsplit("<|im_start|>tool\n", 1)[1].split("<|im_end|>")[0]
            return result if self.count % 2 else "no idea"
        a = prompt.rsplit("<|im_start|>user\n", 1)[1].split(" ")[0]
        return f'<tool_call>{{"name": "add",  "arguments": {{"a":{a}, "b":2}}}}</tool_call>'


class ForcedPolicy(HFPolicy):
    """Answers by script, with the model's own log-probabilities."""

    def __init__(self, model: Any, spy: SpyTokenizer) -> None:
        super().__init__(model, spy)
        self.script = Script(spy)
        self._busy = asyncio.Lock()  # no weights come within an answer

    async def generate(self, prompts: list[list[int]], sampling: Sampling) -> list[Sampled]:
        async with self._busy:
            return [self._forced(prompt) for prompt in prompts]

    async def update(self, weights: Any, version: int) -> None:
        async with self._busy:
            await super().update(weights, version)

    def _forced(self, prompt: list[int]) -> Sampled:
        ids = self.script.ids(prompt)
        values = logprobs_of(self.model, prompt, ids)
        return Sampled(ids=ids, logprobs=values, ended=True, version=self.version)


def logprobs_of(model: Any, prompt: list[int], ids: list[int]) -> list[float]:
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *ids]])).logits[0, len(prompt) - 1 : -1].float()
    return torch.log_softmax(logits, -1).gather(-1, torch.tensor(ids).unsqueeze(-1)).squeeze(-1).tolist()


def save_model(folder: Path) -> SpyTokenizer:
    """Save a tiny random model with its tokenizer; returns the tokenizer."""
    torch.manual_seed(0)
    spy = tokenizer()
    config = LlamaConfig(
        vocab_size=len(spy), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=1024, pad_token_id=0, eos_token_id=2, bos_token_id=None,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return spy


def make_policy(folder: Path) -> ForcedPolicy:
    """A policy of the model that it saves in a folder."""
    spy = save_model(folder)
    return ForcedPolicy(LlamaForCausalLM.from_pretrained(folder), spy)
