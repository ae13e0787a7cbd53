"""Which rollouts of a run become examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b

import msgspec

from nemo_gym.training.exports.conversation import Conversation, LeftOut, conversation
from nemo_gym.training.sequences import TRUNCATED_OUTCOMES
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.rollout import Rollout


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of a selection, applied in this order."""

    incomplete: bool = False
    """Take rollouts that were cut off by a limit too."""
    min_reward: float | None = None
    """Take rollouts with at least this reward."""
    duplicates: bool = False
    """Take a conversation again that an earlier rollout has word for word."""
    best_of: bool = False
    """Take only the rollout with the highest reward of each task, the earlier one of equals."""
    max_per_task: int | None = None
    """Take at most so many rollouts of a task, those with the highest rewards."""


@dataclass(frozen=True, slots=True)
class Example:
    """A rollout that is exported."""

    rollout: Rollout
    conversation: Conversation

    @property
    def reward(self) -> float:
        return float(self.rollout.reward or 0.0)


@dataclass(slots=True)
class Selector:
    """Chooses rollouts, and counts those that are left out by the reason."""

    choice: Choice
    left_out: Counter[str] = field(default_factory=Counter[str])
    rollouts: int = 0
    tasks: int = 0
    _seen: set[bytes] = field(default_factory=set[bytes])

    def groups(self, groups: Iterable[list[Rollout]]) -> Iterator[list[Example]]:
        """The examples of each task, in the order of its repeats; tasks without one are left out.

        Args:
            groups: all rollouts of a task together.
        """
        for group in groups:
            self.tasks += 1
            examples = [one for rollout in group if (one := self._example(rollout)) is not None]
            examples = self._best(examples)
            if examples:
                yield examples

    def _example(self, rollout: Rollout) -> Example | None:
        self.rollouts += 1
        try:
            reason = self._refusal(rollout)
            example = None if reason else Example(rollout, conversation(rollout))
        except LeftOut as error:
            reason, example = error.reason, None
        if example is not None and not self.choice.duplicates:
            digest = blake2b(encode(example.conversation.messages), digest_size=16).digest()
            if digest in self._seen:
                reason, example = "duplicate", None
            self._seen.add(digest)
        if reason:
            self.left_out[reason] += 1
        return example

    def _refusal(self, rollout: Rollout) -> str:
        if rollout.failure is not None or rollout.reward is None:
            return "failed"
        if not self.choice.incomplete and rollout.outcome in TRUNCATED_OUTCOMES:
            return "incomplete"
        least = self.choice.min_reward
        return "low_reward" if least is not None and rollout.reward < least else ""

    def _best(self, examples: list[Example]) -> list[Example]:
        most = 1 if self.choice.best_of else self.choice.max_per_task
        if most is None or len(examples) <= most:
            return examples
        ranked = sorted(examples, key=lambda one: (-one.reward, one.rollout.rollout_index))
        self.left_out["over_the_limit_per_task"] += len(examples) - most
        return sorted(ranked[:most], key=lambda one: one.rollout.rollout_index)
