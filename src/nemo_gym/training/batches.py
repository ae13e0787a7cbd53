"""Sequences of several rollouts as one rectangle of arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from numbers import Integral
from typing import Any, cast

import numpy as np

from nemo_gym.training.sequences import UNKNOWN_VERSION, Bools, Floats, Ints, TokenSequence, sequences
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.rollout import Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """N sequences, padded on the right to L tokens."""

    input_ids: Ints
    """[N, L], prompt and completion."""
    attention_mask: Bools
    """[N, L], false on padding."""
    loss_mask: Bools
    """[N, L], true for sampled tokens that are trained on; false everywhere in a masked sequence."""
    logprobs: Floats
    """[N, L], at sampling time; 0 where `loss_mask` has no sampled token."""
    versions: Ints
    """[N, L], the policy version of each sampled token."""
    rewards: Floats
    """[N]; NaN for a rollout that failed, which has no reward."""
    groups: Ints
    """[N], the task of each sequence."""
    rollouts: Ints
    """[N], the place of each sequence's rollout in the input."""
    trainable: Bools
    """[N], false for a masked sequence."""
    cut: Bools
    """[N], true where the sequence was longer than `max_len`."""

    def to_torch(self) -> dict[str, Any]:
        """The same arrays as PyTorch tensors, which share their memory.

        Raises:
            UsageError: PyTorch is not installed.
        """
        try:
            torch: Any = import_module("torch")
        except ImportError:
            raise UsageError("to_torch needs PyTorch: pip install torch") from None
        return {one.name: torch.from_numpy(getattr(self, one.name)) for one in fields(self)}


def batch(
    rollouts: Iterable[Rollout | Mapping[str, Any] | TokenSequence],
    *,
    pad_id: int,
    max_len: int | None = None,
    multiple_of: int = 1,
) -> Batch:
    """One batch of all sequences of the rollouts, in their order.

    Args:
        pad_id: the token in the padding.
        max_len: longer sequences lose their end.
        multiple_of: L is rounded up to a multiple of this, by padding.

    Raises:
        UsageError: there is no rollout, or a number is below 1.
    """
    if multiple_of < 1 or (max_len is not None and max_len < 1):
        raise UsageError("batch: max_len and multiple_of must be at least 1")
    if not isinstance(cast("object", pad_id), Integral):
        raise UsageError(
            f"batch: pad_id {pad_id!r}: expected a token id; where a tokenizer has no pad token, its "
            "eos_token_id will do"
        )
    numbered = [
        (place, sequence)
        for place, one in enumerate(rollouts)
        for sequence in ([one] if isinstance(one, TokenSequence) else sequences(one))
    ]
    if not numbered:
        raise UsageError("batch: there is no rollout in it")
    every = [sequence for _, sequence in numbered]
    longest = max(len(sequence) for sequence in every)
    most = longest if max_len is None else min(longest, max_len)
    length = -(-max(most, 1) // multiple_of) * multiple_of
    shape = (len(every), length)
    ids, versions = np.full(shape, pad_id, np.int32), np.full(shape, UNKNOWN_VERSION, np.int32)
    attention, loss = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    logprobs = np.zeros(shape, np.float32)
    for place, sequence in enumerate(every):
        start = min(len(sequence.prompt_ids), most)
        end = min(len(sequence), most)
        ids[place, :end] = sequence.ids[:end]
        attention[place, :end] = True
        if sequence.mask is None:
            loss[place, start:end] = sequence.loss_mask[: end - start]
        logprobs[place, start:end] = sequence.logprobs[: end - start]
        versions[place, start:end] = sequence.versions[: end - start]
    return Batch(
        input_ids=ids,
        attention_mask=attention,
        loss_mask=loss,
        logprobs=logprobs,
        versions=versions,
        rewards=np.array([np.nan if one.reward is None else one.reward for one in every], np.float32),
        groups=np.array([one.task_index for one in every], np.int32),
        rollouts=np.array([place for place, _ in numbered], np.int32),
        trainable=np.array([one.mask is None for one in every], np.bool_),
        cut=np.array([len(one) > most for one in every], np.bool_),
    )
