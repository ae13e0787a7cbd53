"""The check that the rollouts of a cohort can be in flight together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from nemo_gym.environments.base import Environment
from nemo_gym.runs.plan import repeats_of
from nemo_gym.wire import keys
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.task import Row, task_from_row


def check_cohorts(
    rows: Iterable[tuple[Row, int]],
    environment: Environment,
    *,
    num_repeats: int | Mapping[str, int],
    in_flight: int,
) -> Iterable[tuple[Row, int]]:
    """The same rows; lazily checked where the environment compares rollouts of a task with one another.

    Args:
        in_flight: how many rollouts one process runs at the same time.

    Raises:
        UsageError: a cohort would wait for rollouts that can't come.
    """
    if type(environment).cohort_size is Environment.cohort_size:
        return rows
    return _checked(rows, environment, num_repeats, in_flight)


def _checked(
    rows: Iterable[tuple[Row, int]],
    environment: Environment,
    num_repeats: int | Mapping[str, int],
    in_flight: int,
) -> Iterator[tuple[Row, int]]:
    for number, (row, times) in enumerate(rows, start=1):
        size = _size(environment, row)
        begin = f"task {number}: {environment.name()} compares {size} rollouts of it with one another"
        if in_flight < size:
            raise UsageError(
                f"{begin}, and only {in_flight} are in flight in one process: allow at least {size}"
            ).about("concurrency")
        repeats = times * repeats_of(row, num_repeats)
        if keys.TASK_INDEX not in row and repeats % size:
            raise UsageError(
                f"{begin}, and has {repeats}: give a number of repeats that {size} divides"
            ).about("num_repeats")
        yield row, times


def _size(environment: Environment, row: Row) -> int:
    """The size of the cohort of a row; 1 for a row that does not fit, which fails when it is run."""
    try:
        return environment.cohort_size(task_from_row(row, environment.Task))
    except UsageError:
        return 1
