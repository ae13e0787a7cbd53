"""A rollout that a training loop has collected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from nemo_gym.training.sequences import TokenSequence, sequences
from nemo_gym.wire.rollout import Rollout

ROW_ID: Final = "row_id"
"""The key of a task's number in the rows of `Rollouts.dataset` and in the first message of their prompts."""


@dataclass(slots=True, kw_only=True)
class CollectedRollout(Rollout):
    """A rollout of `Rollouts`, with its place in the request."""

    group: int
    """The place of its task among the rows of the request; its repeats are one group."""
    _sequences: list[TokenSequence] = field(default_factory=list[TokenSequence], repr=False)

    @property
    def sequences(self) -> list[TokenSequence]:
        """The token sequences, the main branch first."""
        if not self._sequences:
            self._sequences = sequences(self)
        return self._sequences

    @property
    def untrainable(self) -> str | None:
        """Why the main sequence must not be trained on, or None."""
        return self.sequences[0].mask
