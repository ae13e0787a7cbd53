"""What a run came to, read from its files: the same for a run that has just ended and one found on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from nemo_gym.runs.journal import is_locked
from nemo_gym.runs.ledger import Ledger, stamped_lines
from nemo_gym.runs.manifest import Manifest, load_manifest
from nemo_gym.runs.metrics import MetricsAccumulator, RunSummary
from nemo_gym.runs.own_metrics import Additions
from nemo_gym.runs.paths import RunPaths
from nemo_gym.verifiers.scale import RewardScale
from nemo_gym.wire import keys
from nemo_gym.wire.errors import DataError, UsageError
from nemo_gym.wire.jsonl import decode, open_regular
from nemo_gym.wire.rollout import Rollout
from nemo_gym.wire.stamped import Keys


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
        scale: what rewards can be; None takes what the manifest says.

    Raises:
        UsageError: there is no run at `output`, or one of its files can't be used.
        DataError: a rollout is there twice, or is not in the plan.
    """

    def __init__(
        self,
        output: Path,
        *,
        answer_key: str | None = None,
        own: Additions | None = None,
        scale: RewardScale | None = None,
    ) -> None:
        paths = self._paths = RunPaths.of(output)
        manifest = load_manifest(paths.manifest)
        self._manifest = _as_it_stands(manifest, paths)
        self.metrics = MetricsAccumulator(answer_key=answer_key, own=own, scale=scale or manifest.scale)
        planned = self._taken(paths.inputs, self.metrics.plan)
        scored = self._taken(paths.rollouts, self.metrics.add)
        if paths.inputs.exists() and (extra := scored.without(planned)):
            raise DataError(f"{paths.rollouts}: {extra.named()}: not among the rows of {paths.inputs}")
        self.metrics.expect(manifest.requested, failures_of(paths))

    def _taken(self, path: Path, take: Callable[[bytes], tuple[int, int] | None]) -> Keys:
        """Have every row of a file taken in; which there are."""
        present = Keys()
        if not path.exists():
            return present
        with open_regular(path) as file:
            for number, line in enumerate(file, start=1):
                key = take(line) if line.endswith(b"\n") else None
                if key is not None and not present.put(*key):
                    raise DataError(f"{path}:{number}: task {key[0]}, repeat {key[1]} is here a second time")
        return present

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


def _as_it_stands(manifest: Manifest, paths: RunPaths) -> Manifest:
    """The manifest; a run that says it is going on, and that no process writes to, was interrupted."""
    if manifest.status == "running" and not is_locked(paths.rollouts):
        manifest.status = "interrupted"
        manifest.reason = "its process ended without saying why"
    return manifest


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
        with open_regular(path) as file:
            found = msgspec.json.decode(file.read(), type=list[_Written])
    except (UsageError, ValueError, RecursionError):
        return {}
    if sum(one.agent_metrics.get("coverage/scored", 0) for one in found) != scored:
        return {}
    return {one.agent_ref.name: one.key_metrics for one in found}
