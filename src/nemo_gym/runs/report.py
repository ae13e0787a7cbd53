"""What a run came to, read from its files: the same for a run that has just ended and one found on disk."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from nemo_gym.runs.ledger import Ledger, stamped_lines
from nemo_gym.runs.manifest import Manifest, load_manifest
from nemo_gym.runs.metrics import MetricsAccumulator, RunSummary
from nemo_gym.runs.own_metrics import Additions
from nemo_gym.runs.paths import RunPaths
from nemo_gym.wire import keys
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.jsonl import decode
from nemo_gym.wire.rollout import Rollout


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run and its figures."""

    paths: RunPaths
    manifest: Manifest
    summary: RunSummary
    key_metrics: dict[str, dict[str, Any]]
    """The metrics of each agent to look at first, where a metrics file was written."""


class Reading:
    """A finished or unfinished run, read back row by row.

    Args:
        output: its rollouts file.
        answer_key: the column with the extracted answer.
        own: adds the environment's own metrics.

    Raises:
        UsageError: there is no run at `output`.
    """

    def __init__(self, output: Path, *, answer_key: str | None = None, own: Additions | None = None) -> None:
        paths = self._paths = RunPaths.of(output)
        self._manifest = load_manifest(paths.manifest)
        metrics = self.metrics = MetricsAccumulator(answer_key=answer_key, own=own)
        for path, take in ((paths.inputs, metrics.plan), (paths.rollouts, metrics.add)):
            if not path.exists():
                continue
            with path.open("rb") as file:
                for line in file:
                    if line.endswith(b"\n"):
                        take(line)
        metrics.expect(self._manifest.requested, failures_of(paths))

    def report(self, *, write_metrics: bool) -> RunReport:
        """What it came to.

        Raises:
            GymError: a hook raised.
        """
        if write_metrics:
            self.metrics.write(self._paths.metrics)
        return RunReport(self._paths, self._manifest, self.metrics.summary(), self.metrics.key_metrics)


def report_on(output: Path) -> RunReport:
    """Read a finished or unfinished run.

    Raises:
        UsageError: there is no run at `output`.
    """
    report = Reading(output).report(write_metrics=False)
    return replace(report, key_metrics=_written_metrics(report.paths.metrics, report.summary.scored))


def failures_of(paths: RunPaths) -> Counter[str]:
    """Failed rollouts by the class of their last failure; one that was scored later doesn't count."""
    if not paths.failures.exists() or paths.failures.stat().st_size == 0:
        return Counter()
    return Ledger.read(paths.rollouts, paths.failures).failure_classes()


def first_failure(paths: RunPaths) -> str:
    """What went wrong in the first row of the failures file; empty where there is none."""
    for _, line in stamped_lines(paths.failures):
        row = decode(line)
        return f"{row.get(keys.FAILURE_CLASS)}: {row.get(keys.FAILURE_ERROR)}"
    return ""


def find_rollout(output: Path, task: int, repeat: int) -> Rollout:
    """One rollout of a run, from the rollouts file, else its last failure.

    Raises:
        UsageError: the run has no such rollout yet.
    """
    paths = RunPaths.of(output)
    found: Rollout | None = None
    for path in (paths.rollouts, paths.failures):
        for stamp, line in stamped_lines(path):
            if (stamp.task_index, stamp.rollout_index) == (task, repeat):
                found = Rollout.from_row(decode(line))
        if found is not None:
            return found
    if not paths.rollouts.exists():
        raise UsageError(f"{paths.rollouts}: there is no such run")
    raise UsageError(f"{paths.rollouts} has no rollout of task {task}, repeat {repeat}")


class _Named(msgspec.Struct):
    name: str


class _Written(msgspec.Struct):
    """What of one agent is read back from a metrics file."""

    agent_ref: _Named
    agent_metrics: dict[str, Any]
    key_metrics: dict[str, Any] = {}


def _written_metrics(path: Path, scored: int) -> dict[str, dict[str, Any]]:
    """The key metrics in a metrics file, by agent; none where it is missing or is not about these rows."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=list[_Written])
    except (OSError, ValueError, RecursionError):
        return {}
    if sum(one.agent_metrics.get("coverage/scored", 0) for one in found) != scored:
        return {}
    return {one.agent_ref.name: one.key_metrics for one in found}
