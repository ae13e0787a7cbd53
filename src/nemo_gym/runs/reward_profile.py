"""The reward profile of a run: each of its tasks with the figures of its rollouts."""

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
    """How many of the planned rollouts there are."""

    expected_rows: int
    """Rows of the materialised inputs."""
    completed_rows: int
    """Those that have a rollout."""
    missing_rows: int
    """Those that have none."""
    extra_rows: int
    """Rollouts that belong to no row, or are there a second time."""
    completed_pct: float
    complete_tasks: int
    partial_tasks: int
    missing_tasks: int
    """Tasks without any rollout."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The two files of a profile, and how complete its run is."""

    tasks: Path
    """`<rollouts stem>_reward_profiling.jsonl`: a line for each task."""
    agents: Path
    """`<rollouts stem>_agent_metrics.json`: an entry for each agent."""
    completion: Completion


def write_profile(inputs: Path, rollouts: Path, *, partial: bool = False) -> Profile:
    """Profile rollouts against the materialised inputs that they were made of, and write the two files.

    Rows of failures count as no rollout.

    Args:
        partial: take what there is; of rows that are there twice the first counts, and a rollout that belongs
            to no row counts for nothing.

    Raises:
        UsageError: a file can't be read.
        DataError: a line is no row of a run; or the files don't fit each other and `partial` is not set.
    """
    metrics = MetricsAccumulator()
    planned, samples = _planned(inputs, metrics, partial=partial)
    done, extra = _add_rollouts(rollouts, planned, metrics, partial=partial)
    missing = planned.without(done)
    if missing and not partial:
        raise DataError(
            f"{rollouts}: {len(missing)} of the {len(planned)} rows of {inputs} have no rollout: "
            f"{missing.named()}. {_PARTIAL}"
        ).about("allow_partial_rollouts")
    metrics.expect(len(planned), {})
    profile = Profile(
        tasks=rollouts.with_name(f"{rollouts.stem}_reward_profiling.jsonl"),
        agents=rollouts.with_name(f"{rollouts.stem}_agent_metrics.json"),
        completion=_completion(planned, done, extra),
    )
    with whole_file(profile.tasks) as tasks, whole_file(profile.agents) as agents:
        tasks.writelines(_lines(inputs, samples, metrics))
        entries = [
            {**figures, keys.AGENT_REF: {"name": name}} for name, figures in metrics.by_agent().items()
        ]
        agents.write(msgspec.json.format(encode(entries), indent=2) + b"\n")
    return profile


def _planned(inputs: Path, metrics: MetricsAccumulator, *, partial: bool) -> tuple[Keys, dict[int, int]]:
    """The rows of the plan, and where in the file each task comes first."""
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
    """Which rows have a rollout, and how many rollouts count for nothing."""
    done = Keys()
    extra = 0
    for row in keyed_lines(rollouts):
        if row.stamp.failure_class is not None:
            continue
        known = row.stamp in planned
        if known and done.add(row.stamp):
            metrics.add(row.line)
        elif partial:
            extra += 1
        else:
            problem = "is here a second time" if known else "belongs to no row of the inputs"
            line = f"{row.place}: {row.name} {problem}. {_PARTIAL}"
            raise DataError(line).about("allow_partial_rollouts")
    return done, extra


def _completion(planned: Keys, done: Keys, extra: int) -> Completion:
    missing = planned.without(done)
    return Completion(
        expected_rows=len(planned),
        completed_rows=len(done),
        missing_rows=len(missing),
        extra_rows=extra,
        completed_pct=100.0 * len(done) / len(planned),
        complete_tasks=planned.tasks - missing.tasks,
        partial_tasks=done.with_task_of(missing),
        missing_tasks=planned.tasks - done.tasks,
    )


def _lines(inputs: Path, samples: dict[int, int], metrics: MetricsAccumulator) -> Iterator[bytes]:
    with open_regular(inputs) as file:
        for group in metrics.groups():
            sample: dict[str, Any] = decode(line_at(file, samples[group[keys.TASK_INDEX]]))
            del sample[keys.TASK_INDEX], sample[keys.ROLLOUT_INDEX]
            yield encode({**group, "sample": sample}) + b"\n"


_PARTIAL: Final = "Partial rollouts can be allowed"
