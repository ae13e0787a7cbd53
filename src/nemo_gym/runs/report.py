"""What a run came to, read from its files: the same for a run that has just ended and one found on disk."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from nemo_gym.runs.ledger import Ledger, stamped_lines
from nemo_gym.runs.manifest import Manifest, load_manifest
from nemo_gym.runs.metrics import MetricsAccumulator, RunSummary
from nemo_gym.runs.own_metrics import MetricHooks
from nemo_gym.runs.paths import RunPaths
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.jsonl import decode
from nemo_gym.wire.rollout import Rollout


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run and its figures."""

    paths: RunPaths
    manifest: Manifest
    summary: RunSummary


def report_on(
    output: Path,
    *,
    answer_key: str | None = None,
    hooks: MetricHooks | None = None,
    write_metrics: bool = False,
) -> RunReport:
    """Read a finished or unfinished run; `hooks` are the environment's, for its own metrics.

    Raises:
        UsageError: there is no run at `output`.
        GymError: a hook raised.
    """
    paths = RunPaths.of(output)
    manifest = load_manifest(paths.manifest)
    metrics = MetricsAccumulator(answer_key=answer_key, hooks=hooks)
    for path, take in ((paths.inputs, metrics.plan), (paths.rollouts, metrics.add)):
        if not path.exists():
            continue
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    take(line)
    metrics.expect(manifest.requested, failures_of(paths))
    if write_metrics:
        metrics.write(paths.metrics)
    return RunReport(paths, manifest, metrics.summary())


def failures_of(paths: RunPaths) -> Counter[str]:
    """Failed rollouts by the class of their last failure; one that was scored later doesn't count."""
    if not paths.failures.exists() or paths.failures.stat().st_size == 0:
        return Counter()
    return Ledger.read(paths.rollouts, paths.failures).failure_classes()


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
