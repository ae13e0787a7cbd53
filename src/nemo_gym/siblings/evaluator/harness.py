"""The scores of a run as NeMo Evaluator 0.2 reads them from the harness package `core_evals.nemo_gym`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from nemo_gym.runs.report import RunReport, report_on
from nemo_gym.wire.errors import UsageError

ROLLOUTS: Final = "rollouts.jsonl"
"""The rollouts file in the output folder of an evaluation."""


def scores_of(folder: Path) -> dict[str, Any]:
    """The fields of Evaluator's `EvaluationResult` for the run in an output folder.

    Values are shares of 1, as our rewards are: `reward.mean`, `pass_at_1.pass_at_1` and so on, and the number
    of rollouts that failed and count nowhere else.

    Raises:
        UsageError: there is no run, or no rollout of it was scored.
    """
    report = report_on(folder / ROLLOUTS)
    summary = report.summary
    if summary.mean_reward is None:
        failed = ", ".join(f"{name} {count}" for name, count in summary.failed.items())
        raise UsageError(f"{folder / ROLLOUTS}: no rollout was scored ({failed or 'there are none'})")
    count = summary.scored
    metrics: dict[str, Any] = {"reward": {"scores": {"mean": _score(summary.mean_reward, count, report)}}}
    for k, percent in summary.pass_at.items():
        name = f"pass_at_{k}"
        metrics[name] = {"scores": {name: _score(percent / 100, summary.tasks_at.get(k, count))}}
    failures = sum(summary.failed.values()) + summary.pending
    metrics["failed"] = {"scores": {"rollouts": _score(float(failures), summary.requested)}}
    task = Path(report.manifest.environment_name or "nemo_gym").stem
    return {"tasks": {task: {"metrics": metrics}}, "groups": {task: {"metrics": metrics}}}


def _score(value: float, count: int, report: RunReport | None = None) -> dict[str, Any]:
    stats: dict[str, Any] = {"count": count}
    if report is not None and report.summary.ci95 is not None:
        low, high = report.summary.ci95
        stats["stderr"] = (high - low) / (2 * 1.96)
        stats["mean"] = value
    return {"value": value, "stats": stats}
