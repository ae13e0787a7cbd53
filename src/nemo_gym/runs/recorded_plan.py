"""The plan of a run that scores recorded trajectories again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_gym.runs.component_specs import AgentSpec
from nemo_gym.runs.task_sources import digest_of
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.row_identity import Keys, keyed_lines


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedPlan:
    """The rows of materialised inputs that have a recorded trajectory; they keep their stamps."""

    inputs: Path
    recordings: Path
    """The file of rollouts, or with `failed_as` the file of failures."""
    failed_as: str = ""
    """The class of failures to take; empty takes rollouts."""
    scored: tuple[Path, ...] = ()
    """Rollouts files; the rollouts in them are left out."""
    limit: int | None = None
    """The number of rollouts; None takes all."""

    @property
    def agent(self) -> AgentSpec:
        """The agent that repeats the recorded trajectories."""
        arguments = {"rollouts": str(self.recordings), "failed_as": self.failed_as}
        return AgentSpec("recorded", {key: value for key, value in arguments.items() if value})

    def lines(self) -> Iterator[bytes]:
        """The rows, in the order of the inputs.

        Raises:
            UsageError: a file can't be read, or there is nothing to score.
            DataError: a row is there twice, or a trajectory has no row.
        """
        recorded, scored, planned = self._recorded_keys(), self._scored_keys(), Keys()
        count = 0
        for row in keyed_lines(self.inputs):
            if not planned.add(row.stamp):
                raise DataError(f"{row.place}: {row.name} is here a second time")
            if row.stamp in recorded and row.stamp not in scored and count != self.limit:
                count += 1
                yield row.line.rstrip() + b"\n"
        if extra := recorded.without(planned):
            raise DataError(f"{self.recordings}: {extra.named()}: not among the rows of {self.inputs}")
        if not count:
            what = f"{self.failed_as} failures" if self.failed_as else "rollouts"
            where = f", and all of them are in {self.scored[0]}" if recorded and self.scored else ""
            raise UsageError(f"nothing to score again: {len(recorded)} {what} in {self.recordings}{where}")

    def public(self) -> dict[str, Any]:
        """What the manifest holds of it; compared on resume."""
        return {
            "source": self.inputs.name,
            "sha256": digest_of(self.inputs),
            "recorded": self.recordings.name,
            "recorded_sha256": digest_of(self.recordings),
            "limit": self.limit,
        }

    def _recorded_keys(self) -> Keys:
        recorded = Keys()
        for row in keyed_lines(self.recordings):
            if row.stamp.failure_class != (self.failed_as or None):
                continue
            if not recorded.add(row.stamp) and not self.failed_as:
                raise DataError(f"{row.place}: {row.name} is here a second time")
        return recorded

    def _scored_keys(self) -> Keys:
        scored = Keys()
        for path in self.scored:
            for row in keyed_lines(path) if path.exists() else ():
                if row.stamp.failure_class is None:
                    scored.add(row.stamp)
        return scored
