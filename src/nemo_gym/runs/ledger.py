"""Which rollouts the files of an earlier, unfinished run already hold."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from nemo_gym.stats.reward_scale import UNKNOWN_SCALE, RewardScale
from nemo_gym.stats.statistics import ClusteredMean
from nemo_gym.wire import keys
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.row_identity import journal_lines

MAX_ATTEMPTS_VARIABLE = "NEMO_GYM_MAX_ROLLOUT_ATTEMPTS"


@dataclass(slots=True)
class Failed:
    """The failures of one (task, repeat) so far."""

    attempts: int = 0
    failure_class: str = ""
    terminal: bool = False


@dataclass(slots=True)
class Ledger:
    """Which rollouts are scored, and which have failed how often."""

    scored: dict[int, int] = field(default_factory=dict[int, int])
    """Task index -> bit mask of its scored rollouts."""
    failed: dict[tuple[int, int], Failed] = field(default_factory=dict[tuple[int, int], Failed])
    """(task, rollout) -> its failures; without rollouts that were scored later."""
    mean: ClusteredMean = field(default_factory=ClusteredMean)
    """The mean of the rewards so far."""
    max_attempts: int = 3
    twin: str = ""
    """The message about a rollout that is scored a second time; only the first score counts."""

    @classmethod
    def read(cls, rollouts: Path, failures: Path, scale: RewardScale = UNKNOWN_SCALE) -> Ledger:
        """The ledger of a run's two files; a missing file is an empty one.

        Raises:
            DataError: a line other than a torn last one is not a row of a run.
        """
        ledger = cls(mean=ClusteredMean(scale=scale), max_attempts=max_attempts())
        for row in journal_lines(failures):
            stamp = row.stamp
            entry = ledger.failed.setdefault((stamp.task_index, stamp.rollout_index), Failed())
            entry.attempts += 1
            entry.failure_class = stamp.failure_class or "run_error"
            terminal = stamp.failure_terminal and stamp.failure_http_status not in _PASSING
            entry.terminal = entry.terminal or terminal
        for row in journal_lines(rollouts):
            stamp = row.stamp
            if stamp.failure_class is not None:
                continue
            if stamp.reward is None:
                raise DataError(f"{row.place}: a scored rollout needs a reward")
            task, repeat = stamp.task_index, stamp.rollout_index
            mask = ledger.scored.get(task, 0)
            if mask >> repeat & 1:
                ledger.twin = ledger.twin or f"{row.place}: {row.name} is here a second time"
                continue
            ledger.scored[task] = mask | 1 << repeat
            ledger.failed.pop((task, repeat), None)
            ledger.mean.add(task, stamp.reward)
        return ledger

    def wants(self, task: int, rollout: int) -> bool:
        """Whether this rollout still has to be run."""
        if self.scored.get(task, 0) >> rollout & 1:
            return False
        entry = self.failed.get((task, rollout))
        return entry is None or (not entry.terminal and entry.attempts < self.max_attempts)

    def attempts(self, task: int, rollout: int) -> int:
        """How often this rollout has failed before."""
        entry = self.failed.get((task, rollout))
        return entry.attempts if entry else 0

    @property
    def scored_count(self) -> int:
        return sum(mask.bit_count() for mask in self.scored.values())

    def failure_classes(self) -> Counter[str]:
        """Failed rollouts by the class of their last failure."""
        return Counter(entry.failure_class for entry in self.failed.values())


_PASSING: Final = frozenset({402})
"""HTTP statuses that another attempt may not meet. Older versions wrote that they are terminal."""


def max_attempts() -> int:
    """How often one rollout may be tried over all resumes.

    Raises:
        UsageError: the variable that sets it is not a positive number.
    """
    text = os.environ.get(MAX_ATTEMPTS_VARIABLE, "3")
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"{MAX_ATTEMPTS_VARIABLE}={text!r}: expected a whole number of at least 1")
    return int(text)


def with_attempt(line: bytes, attempt: int) -> bytes:
    """A plan line stamped with the number of its earlier failures."""
    if attempt == 0:
        return line
    return line.rstrip(b"\n")[:-1] + b',"%b":%d}\n' % (keys.ATTEMPT_INDEX.encode(), attempt)
