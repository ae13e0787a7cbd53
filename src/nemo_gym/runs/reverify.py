"""Scores the trajectories of an earlier run again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nemo_gym.runs.component_specs import AgentSpec, EnvironmentSpec
from nemo_gym.runs.scorer_environments import Scorers, mode_of
from nemo_gym.runs.task_sources import digest_of
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.row_identity import Keys, keyed_lines


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedPlan:
    """The rows of materialised inputs that have a recorded trajectory, with the stamps that they have."""

    inputs: Path
    recordings: Path
    """Rollouts, or with `failed_as` failures."""
    failed_as: str = ""
    """Takes the failures of this class, and nothing else."""
    scored: tuple[Path, ...] = ()
    """Rollouts files; what is in one of them is left out."""
    limit: int | None = None
    """Only the first so many rollouts."""

    @property
    def agent(self) -> AgentSpec:
        """Who acts as it was recorded."""
        arguments = {"rollouts": str(self.recordings), "failed_as": self.failed_as}
        return AgentSpec("recorded", {key: value for key, value in arguments.items() if value})

    def lines(self) -> Iterator[bytes]:
        """The rows, in the order of the inputs.

        Raises:
            UsageError: a file can't be read, or there is nothing to score.
            DataError: a row is there twice, or a trajectory has no row.
        """
        recorded, scored, planned = self._recorded(), self._scored(), Keys()
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
            done = f", and all of them are in {self.scored[0]}" if recorded and self.scored else ""
            raise UsageError(f"nothing to score anew: {len(recorded)} {what} in {self.recordings}{done}")

    def public(self) -> dict[str, Any]:
        """What is written down and compared on resume."""
        return {
            "source": self.inputs.name,
            "sha256": digest_of(self.inputs),
            "recorded": self.recordings.name,
            "recorded_sha256": digest_of(self.recordings),
            "limit": self.limit,
        }

    def _recorded(self) -> Keys:
        recorded = Keys()
        for row in keyed_lines(self.recordings):
            if row.stamp.failure_class != (self.failed_as or None):
                continue
            if not recorded.add(row.stamp) and not self.failed_as:
                raise DataError(f"{row.place}: {row.name} is here a second time")
        return recorded

    def _scored(self) -> Keys:
        scored = Keys()
        for path in self.scored:
            for row in keyed_lines(path) if path.exists() else ():
                if row.stamp.failure_class is None:
                    scored.add(row.stamp)
        return scored


async def check_modes(scorer: EnvironmentSpec) -> list[str]:
    """A line for each environment that may score a stored trajectory otherwise than it would have live.

    Raises:
        GymError: nobody answers at a URL.
    """
    agents = scorer.agents if isinstance(scorer, Scorers) else {"": scorer}
    problems: dict[str, str] = {}
    for agent, spec in agents.items():
        mode = await mode_of(spec)
        if mode != "stateless":
            name = spec.ref or spec.url or agent
            problems[name] = f"{name}: its reverify mode is {mode!r}, {_MEANING[mode]}"
    return list(problems.values())


_MEANING: Final = {
    "unsupported": "its verifier needs the state that the tools left",
    "unknown": "nobody says whether its verifier needs more than the row and the response",
}
