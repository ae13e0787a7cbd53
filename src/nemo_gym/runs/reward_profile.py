"""The reward profile of a run: every task with the figures of its rollouts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from nemo_gym.runs.metrics import MetricsAccumulator
from nemo_gym.runs.paths import whole_file
from nemo_gym.wire import keys
from nemo_gym.wire.errors import DataError
from nemo_gym.wire.jsonl import decode, encode, open_regular
from nemo_gym.wire.row_identity import Keys, keyed_lines, line_at


class Completion(msgspec.Struct, frozen=True):
    """How many of the planned rollouts exist."""

    expected_rows: int
    """Rows of the materialised inputs."""
    completed_rows: int
    """Those that have a rollout."""
    missing_rows: int
    """Those that have none."""
    extra_rows: int
    """Rollouts that belong to no row, or that come a second time."""
    completed_pct: float
    complete_tasks: int
    partial_tasks: int
    missing_tasks: int
    """Tasks without any rollout."""


@dataclass(frozen=True, slots=True)
class RewardProfile:
    """The two files of a profile, and how complete its run is."""

    tasks: Path
    """`<rollouts stem>_reward_profiling.jsonl`: a line for each task."""
    agents: Path
    """`<rollouts stem>_agent_metrics.json`: an entry for each agent."""
    completion: Completion


def write_profile(inputs: Path, rollouts: Path, *, partial: bool = False) -> RewardProfile:
    """Write the two files for rollouts and their materialised inputs. Failures don't count as rollouts.

    Args:
        partial: accept missing rollouts, rollouts that belong to no row, which don't count, and rows that
            come twice, of which the first counts.

    Raises:
        UsageError: a file can't be read.
        DataError: a line is not a row of a run, or without `partial` the files don't fit each other.
    """
    metrics = MetricsAccumulator()
    planned, samples = _add_plan(inputs, metrics, partial=partial)
    scored, extra = _add_rollouts(rollouts, planned, metrics, partial=partial)
    missing = planned.without(scored)
    if missing and not partial:
        raise DataError(
            f"{rollouts}: {len(missing)} of the {len(planned)} rows of {inputs} have no rollout: "
            f"{missing.named()}. {_PARTIAL}"
        ).about("allow_partial_rollouts")
    metrics.expect(len(planned), {})
    profile = RewardProfile(
        tasks=rollouts.with_name(f"{rollouts.stem}_reward_profiling.jsonl"),
        agents=rollouts.with_name(f"{rollouts.stem}_agent_metrics.json"),
        completion=_completion(planned, scored, extra),
    )
    with whole_file(profile.tasks) as tasks, whole_file(profile.agents) as agents:
        tasks.writelines(_lines(inputs, samples, metrics))
        entries = [
            {**figures, keys.AGENT_REF: {"name": name}} for name, figures in metrics.by_agent().items()
        ]
        agents.write(msgspec.json.format(encode(entries), indent=2) + b"\n")
    return profile


def _add_plan(inputs: Path, metrics: MetricsAccumulator, *, partial: bool) -> tuple[Keys, dict[int, int]]:
    """The identities of the plan's rows, and the offset of the first row of each task."""
    planned = Keys()
    samples: dict[int, int] = {}
    for row in keyed_lines(inputs):
        if not planned.add(row.stamp):
            if partial:
                continue
            raise DataError(f"{row.place}: {row.name} is here a second time")
        samples.setdefault(row.stamp.task_index, row.offset)
        metrics.plan(row.line)
    if not planned:
        raise DataError(f"{inputs}: there are no rows")
    return planned, samples


def _add_rollouts(
    rollouts: Path, planned: Keys, metrics: MetricsAccumulator, *, partial: bool
) -> tuple[Keys, int]:
    """The identities that have a rollout, and how many rollouts don't count."""
    scored = Keys()
    extra = 0
    for row in keyed_lines(rollouts):
        if row.stamp.failure_class is not None:
            continue
        is_planned = row.stamp in planned
        if is_planned and scored.add(row.stamp):
            metrics.add(row.line)
        elif partial:
            extra += 1
        else:
            problem = "is here a second time" if is_planned else "belongs to no row of the inputs"
            line = f"{row.place}: {row.name} {problem}. {_PARTIAL}"
            raise DataError(line).about("allow_partial_rollouts")
    return scored, extra


def _completion(planned: Keys, scored: Keys, extra: int) -> Completion:
    missing = planned.without(scored)
    return Completion(
        expected_rows=len(planned),
        completed_rows=len(scored),
        missing_rows=len(missing),
        extra_rows=extra,
        completed_pct=100.0 * len(scored) / len(planned),
        complete_tasks=planned.tasks - missing.tasks,
        partial_tasks=scored.with_task_of(missing),
        missing_tasks=planned.tasks - scored.tasks,
    )


def _lines(inputs: Path, samples: dict[int, int], metrics: MetricsAccumulator) -> Iterator[bytes]:
    with open_regular(inputs) as file:
        for group in metrics.groups():
            sample: dict[str, Any] = decode(line_at(file, samples[group[keys.TASK_INDEX]]))
            del sample[keys.TASK_INDEX], sample[keys.ROLLOUT_INDEX]
            yield encode({**group, "sample": sample}) + b"\n"


_PARTIAL: Final = "Partial rollouts can be allowed"
