"""A run that scores recorded trajectories again: the checks before it, and the files at its output."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeAlias

from nemo_gym.assembly.messages import Write
from nemo_gym.environments.reward_terms import RewardTerms
from nemo_gym.runs.append import append_run
from nemo_gym.runs.component_specs import EnvironmentSpec
from nemo_gym.runs.manifest import load_manifest
from nemo_gym.runs.metrics_recompute import recompute
from nemo_gym.runs.paths import RunPaths
from nemo_gym.runs.recorded_plan import RecordedPlan
from nemo_gym.runs.report import RunReport, report_on
from nemo_gym.runs.run import Job
from nemo_gym.runs.scorer_environments import check_modes
from nemo_gym.wire.errors import UsageError

Existing: TypeAlias = Literal["keep", "overwrite", "append"]
"""What to do with files that exist at the output."""
Collect: TypeAlias = Callable[[Job], Awaitable[RunReport]]
"""Collects the rollouts of a job."""


async def reverify(
    job: Job,
    plan: RecordedPlan,
    *,
    collect: Collect,
    around: AbstractAsyncContextManager[None],
    force: bool,
    existing: Existing,
    warn: Write,
) -> RunReport:
    """Score the trajectories of the plan while `around` is open.

    Args:
        collect: collects the rollouts of a job.
        force: score even if a verifier may need more than the trajectory; the output is then `unsafe_...`.

    Raises:
        UsageError: a verifier may need more than the trajectory, or the output can't be used like that.
    """
    async with around:
        output = await _allowed(job.environment, job.output, force=force, warn=warn)
        return await _reverify(replace(job, output=output), plan, collect, existing, warn)


def terms_again(source: RunPaths, weights: str | None, shapes: list[str] | None) -> RewardTerms:
    """The weights and shapes of the reward: those of the arguments, else those of the run at `source`.

    Raises:
        UsageError: one is not valid.
    """
    recorded = load_manifest(source.manifest).terms if source.manifest.exists() else RewardTerms()
    return RewardTerms.of(
        recorded.weights if weights is None else weights,
        recorded.shapes if shapes is None else [shape for shape in shapes if shape],
    )


async def _reverify(
    job: Job, plan: RecordedPlan, collect: Collect, existing: Existing, warn: Write
) -> RunReport:
    target = RunPaths.of(job.output)
    quiet = replace(job, disable_aggregation=True)
    if existing == "append" and target.rollouts.exists():
        _refuse_mixture(target, job.terms)
        report = await collect(_beside(quiet, plan))
        if report.manifest.status != "complete":
            return report
        append_run(report.paths, target)
    else:
        _refuse_shared(target, plan)
        if existing == "overwrite":
            _clear(target, plan)
        report = await collect(quiet)
    if job.disable_aggregation:
        return report_on(target.rollouts)
    report, notes = await recompute(target.rollouts, job.environment)
    for note in notes:
        warn(note)
    return report


async def _allowed(scorer: EnvironmentSpec, output: Path, *, force: bool, warn: Write) -> Path:
    """The output; another name where a verifier may need more than the trajectory.

    Raises:
        UsageError: a verifier may need more than the trajectory, and nothing forces the run.
    """
    problems = await check_modes(scorer)
    if not problems:
        return output
    if not force:
        problem = f"{'; '.join(problems)}. They can be scored again all the same, into unsafe_{output.name}"
        raise UsageError(problem).about("force")
    for problem in problems:
        warn(f"warning: {problem}")
    return output if output.name.startswith("unsafe_") else output.with_name(f"unsafe_{output.name}")


def _beside(job: Job, plan: RecordedPlan) -> Job:
    """The same job with files beside the output, which are appended to it. An interrupted one goes on."""
    missing = replace(plan, scored=(*plan.scored, job.output))
    beside = job.output.with_name(f"{job.output.stem}_appending.jsonl")
    return replace(job, plan=missing, output=beside, resume=beside.exists())


def _refuse_mixture(target: RunPaths, terms: RewardTerms) -> None:
    """Refuse to append rewards to others that have other weights or shapes."""
    if target.manifest.exists() and load_manifest(target.manifest).terms != terms:
        raise UsageError(
            f"{target.rollouts} has rewards with other weights or shapes: choose another output"
        ).about("output", "reward_weights")


def _refuse_shared(target: RunPaths, plan: RecordedPlan) -> None:
    sources = {path.resolve() for path in (plan.inputs, plan.recordings)}
    for path in (target.rollouts, target.inputs, target.failures):
        if path.resolve() in sources:
            raise UsageError(f"{path} is read: choose another output, or append to it").about(
                "output", "append"
            )


def _clear(target: RunPaths, plan: RecordedPlan) -> None:
    """Delete the files at the output, after reading the whole plan: it raises if nothing can be scored."""
    for _ in plan.lines():
        pass
    for path in target.existing():
        path.unlink()
