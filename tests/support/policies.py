"""A tokenizer and policies for tests: one token for each character, and for the tags of ChatML."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from nemo_gym.training import Policy, Sampled, Sampling

TAGS = ("<|im_start|>", "<|im_end|>", "<think>", "</think>", "<tool_call>", "</tool_call>")
FIRST_TAG = 0x110000


class ChatTokenizer:
    """Renders ChatML. It counts the texts that it encodes, so that a test can see what is tokenised again.

    Args:
        strips_reasoning: leave the reasoning of past answers out, as many templates do.
    """

    eos_token_id = FIRST_TAG + TAGS.index("<|im_end|>")

    def __init__(self, *, strips_reasoning: bool = False) -> None:
        self.strips_reasoning = strips_reasoning
        self.encoded: list[str] = []

    def apply_chat_template(
        self, conversation: Any, *, tools: Any, tokenize: bool, add_generation_prompt: bool, **_: Any
    ) -> str:
        assert not tokenize
        lines = [f"<|im_start|>system\ntools: {json.dumps(tools)}<|im_end|>\n"] if tools else []
        for message in conversation:
            content = message["content"]
            if thought := message.get("reasoning_content"):
                content = content if self.strips_reasoning else f"<think>{thought}</think>{content}"
            for call in message.get("tool_calls") or ():
                content += f"<tool_call>{json.dumps(call['function'], sort_keys=True)}</tool_call>"
            lines.append(f"<|im_start|>{message['role']}\n{content}<|im_end|>\n")
        return "".join([*lines, "<|im_start|>assistant\n" if add_generation_prompt else ""])

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        assert not add_special_tokens
        self.encoded.append(text)
        parts = re.split("(" + "|".join(re.escape(tag) for tag in TAGS) + ")", text)
        ids: list[int] = []
        for part in parts:
            ids += [FIRST_TAG + TAGS.index(part)] if part in TAGS else [ord(char) for char in part]
        return ids

    def decode(self, token_ids: list[int], *, skip_special_tokens: bool) -> str:
        assert not skip_special_tokens
        return "".join(TAGS[token - FIRST_TAG] if token >= FIRST_TAG else chr(token) for token in token_ids)


class ScriptedPolicy(Policy):
    """Answers by a function of the prompt's text. It keeps every batch."""

    def __init__(self, answer: Callable[[str], str], tokenizer: ChatTokenizer | None = None) -> None:
        super().__init__(tokenizer or ChatTokenizer())
        self.answer = answer
        self.batches: list[list[list[int]]] = []
        self.sampling: list[Sampling] = []

    async def generate(self, prompts: list[list[int]], sampling: Sampling) -> list[Sampled]:
        self.batches.append([list(prompt) for prompt in prompts])
        self.sampling.append(sampling)
        return [self._one(prompt, sampling) for prompt in prompts]

    async def update(self, weights: Any, version: int) -> None:
        self.answer = weights

    def _one(self, prompt: list[int], sampling: Sampling) -> Sampled:
        text = self.answer(self.tokenizer.decode(prompt, skip_special_tokens=False))
        ids = ChatTokenizer().encode(f"{text}<|im_end|>", add_special_tokens=False)
        kept = ids[: sampling.max_tokens]
        return Sampled(ids=kept, logprobs=[-0.125] * len(kept), ended=len(kept) == len(ids))
