"""The reward profile of a run: what each of its tasks came to, beside the task itself."""

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
from nemo_gym.wire.jsonl import decode, encode
from nemo_gym.wire.row_identity import Keys, keyed_lines


class Completion(msgspec.Struct, frozen=True):
    """How much of what was asked for there is."""

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
    """A profile that was written."""

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
    asked, samples = _planned(inputs, metrics, partial=partial)
    done, extra = _taken_in(rollouts, asked, metrics, partial=partial)
    missing = asked.without(done)
    if missing and not partial:
        raise DataError(
            f"{rollouts}: {len(missing)} of the {len(asked)} rows of {inputs} have no rollout: "
            f"{missing.named()}. {_PARTIAL}"
        ).about("allow_partial_rollouts")
    metrics.expect(len(asked), {})
    written = Profile(
        tasks=rollouts.with_name(f"{rollouts.stem}_reward_profiling.jsonl"),
        agents=rollouts.with_name(f"{rollouts.stem}_agent_metrics.json"),
        completion=_completion(asked, done, extra),
    )
    with whole_file(written.tasks) as tasks, whole_file(written.agents) as agents:
        tasks.writelines(_lines(inputs, samples, metrics))
        entries = [{**found, keys.AGENT_REF: {"name": name}} for name, found in metrics.by_agent().items()]
        agents.write(msgspec.json.format(encode(entries), indent=2) + b"\n")
    return written


def _planned(inputs: Path, metrics: MetricsAccumulator, *, partial: bool) -> tuple[Keys, dict[int, int]]:
    """What was asked for, and where in the file each task is first."""
    asked = Keys()
    samples: dict[int, int] = {}
    for row in keyed_lines(inputs):
        if not asked.add(row.stamp):
            if partial:
                continue
            raise DataError(f"{inputs}:{row.number}: {row.name} is here a second time")
        samples.setdefault(row.stamp.task_index, row.offset)
        metrics.plan(row.line)
    if not asked:
        raise DataError(f"{inputs}: there are no rows")
    return asked, samples


def _taken_in(rollouts: Path, asked: Keys, metrics: MetricsAccumulator, *, partial: bool) -> tuple[Keys, int]:
    """Which rows have a rollout, and how many rollouts count for nothing."""
    done = Keys()
    extra = 0
    for row in keyed_lines(rollouts):
        if row.stamp.failure_class is not None:
            continue
        known = row.stamp in asked
        if known and done.add(row.stamp):
            metrics.add(row.line)
        elif partial:
            extra += 1
        else:
            problem = "is here a second time" if known else "belongs to no row of the inputs"
            raise DataError(f"{rollouts}:{row.number}: {row.name} {problem}. {_PARTIAL}").about(
                "allow_partial_rollouts"
            )
    return done, extra


def _completion(asked: Keys, done: Keys, extra: int) -> Completion:
    missing = asked.without(done)
    return Completion(
        expected_rows=len(asked),
        completed_rows=len(done),
        missing_rows=len(missing),
        extra_rows=extra,
        completed_pct=100.0 * len(done) / len(asked),
        complete_tasks=asked.tasks - missing.tasks,
        partial_tasks=done.with_task_of(missing),
        missing_tasks=asked.tasks - done.tasks,
    )


def _lines(inputs: Path, samples: dict[int, int], metrics: MetricsAccumulator) -> Iterator[bytes]:
    with inputs.open("rb") as file:
        for group in metrics.groups():
            file.seek(samples[group[keys.TASK_INDEX]])
            sample: dict[str, Any] = decode(file.readline())
            del sample[keys.TASK_INDEX], sample[keys.ROLLOUT_INDEX]
            yield encode({**group, "sample": sample}) + b"\n"


_PARTIAL: Final = "Partial rollouts can be allowed"
