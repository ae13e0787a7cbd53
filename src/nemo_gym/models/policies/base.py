"""`Policy`: a trainer's own model, tokens in and tokens out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Tokenizer(Protocol):
    """What is used of a tokenizer; those of `transformers` have it."""

    eos_token_id: Any

    def apply_chat_template(self, conversation: Any, **options: Any) -> Any: ...

    def encode(self, text: str, **options: Any) -> list[int]: ...

    def decode(self, token_ids: Any, **options: Any) -> str: ...


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample a batch."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 1024
    """The most tokens of each answer."""
    seed: int | None = None
    """The same seed gives the same answer to the same prompt, where the policy can do that."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """One answer."""

    ids: Sequence[int]
    """[n], with the token that ended the answer."""
    logprobs: Sequence[float]
    """[n], log-probabilities under the distribution that was sampled from."""
    ended: bool
    """Whether the model ended the answer, instead of the limit."""
    version: int | Sequence[int] | None = None
    """The version of the weights, of all tokens or of each; None is the policy's `version`."""


class Policy:
    """Samples answers to prompts of token ids. A subclass has `generate`, which answers a batch, or `sample`,
    which answers one prompt, for engines that take a request at any time.

    The chat template, the tokens of earlier answers, tool calls and batches are not its business: prompts
    come as ids that begin with exactly the ids of the rollout so far.

    Args:
        tokenizer: a tokenizer of `transformers`, or an object with the methods of `Tokenizer`.

    Raises:
        TypeError: the subclass has neither `generate` nor `sample`.
    """

    version: int = 0
    """The version of the weights, which `update` changes."""
    context: int | None = None
    """The most tokens of a prompt and its answer together; None is no limit."""
    max_batch: int = 256
    """The most prompts of one `generate`."""
    batches_in_flight: int = 1
    """How many calls of `generate` may run at the same time."""
    name: str = "policy"

    def __init__(self, tokenizer: Tokenizer) -> None:
        kind = type(self)
        if kind.generate is Policy.generate and kind.sample is Policy.sample:
            raise TypeError(f"{kind.__name__} needs generate, for batches, or sample, for one prompt")
        self.tokenizer = tokenizer

    @property
    def end_ids(self) -> frozenset[int]:
        """The tokens that end an answer."""
        end = self.tokenizer.eos_token_id
        return frozenset({end} if isinstance(end, int) else end or ())

    @property
    def samples_singly(self) -> bool:
        """Whether each prompt goes to `sample` as soon as it is there, instead of to a batch. The method that
        the subclass defines decides; if it defines both, `sample` does."""
        owner = next(kind for kind in type(self).__mro__ if vars(kind).keys() & {"generate", "sample"})
        return owner is not Policy and "sample" in vars(owner)

    async def generate(self, prompts: list[list[int]], sampling: Sampling) -> list[Sampled]:
        """One answer to each prompt, in their order.

        It is cancelled when nobody waits for any of the answers any more.
        """
        return list(await asyncio.gather(*(self.sample(prompt, sampling) for prompt in prompts)))

    async def sample(self, prompt: list[int], sampling: Sampling) -> Sampled:
        """The answer to one prompt, while other calls may run.

        It is cancelled when its rollout is; an engine then frees the place of the request.
        """
        (sampled,) = await self.generate([prompt], sampling)
        return sampled

    async def update(self, weights: Any, version: int) -> None:
        """Take new weights. Later tokens are of this version.

        Raises:
            NotImplementedError: the policy doesn't take weights, because its trainer shares them with it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no update")
