"""The statistics of rewards: clustered confidence intervals, pass@k, majority@k, plain descriptions."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate


class ClusteredMean:
    """The mean of rewards and its 95% half-width, kept up to date at constant cost per reward.

    Repeats of one task are not independent, so the standard error is cluster-robust by task (Liang and
    Zeger 1986), scaled by G/(G-1) for G tasks, with the t quantile for G-1 degrees of freedom (Cameron and
    Miller 2015, "A Practitioner's Guide to Cluster-Robust Inference", sections II.B and VI).

    Args:
        repeats: rollouts per task, where every task has as many; finished tasks then cost no memory.
    """

    __slots__ = ("_count", "_open", "_repeats", "_shift", "_squares", "_tasks", "_total")

    def __init__(self, repeats: int | None = None) -> None:
        self._repeats = repeats
        self._open: dict[int, tuple[float, int]] = {}
        self._tasks = 0
        self._count = 0
        self._total = 0.0
        self._shift = 0.0
        # Sums over tasks of sum*sum, sum*count and count*count, of rewards less the first reward.
        self._squares = (0.0, 0.0, 0)

    def add(self, task_index: int, reward: float) -> None:
        """Take in one reward."""
        if self._count == 0:
            self._shift = reward
        reward -= self._shift
        total, count = self._open.pop(task_index, (0.0, 0))
        if count == 0:
            self._tasks += 1
        if self._repeats is None or count + 1 < self._repeats:
            self._open[task_index] = (total + reward, count + 1)
        of_sums, mixed, of_counts = self._squares
        self._squares = (
            of_sums + reward * (2 * total + reward),
            mixed + total + reward * (count + 1),
            of_counts + 2 * count + 1,
        )
        self._count += 1
        self._total += reward

    @property
    def count(self) -> int:
        """Rewards taken in."""
        return self._count

    @property
    def tasks(self) -> int:
        """Tasks with at least one reward."""
        return self._tasks

    @property
    def mean(self) -> float:
        """The mean reward; NaN before the first."""
        return self._shift + self._total / self._count if self._count else math.nan

    @property
    def standard_error(self) -> float | None:
        """The cluster-robust standard error of the mean; None with fewer than two tasks."""
        if self._tasks < 2:
            return None
        mean = self._total / self._count
        of_sums, mixed, of_counts = self._squares
        spread = max(0.0, of_sums - 2 * mean * mixed + mean * mean * of_counts)
        return math.sqrt(spread * self._tasks / (self._tasks - 1)) / self._count

    @property
    def half_width(self) -> float | None:
        """Half the width of the 95% confidence interval; None with fewer than two tasks."""
        error = self.standard_error
        return None if error is None else error * t_quantile_975(self._tasks - 1)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95% confidence interval of the mean; None with fewer than two tasks."""
        half = self.half_width
        return None if half is None else (self.mean - half, self.mean + half)


class PassCurves:
    """pass@k, pass@1[avg-of-k] and majority@k of one score, for every k, added up task by task.

    A task counts towards k when it has at least k values. All results are percentages.
    """

    def __init__(self) -> None:
        self._tasks: list[int] = []
        self._passed: list[float] = []
        self._averaged: list[float] = []
        self._agreed: list[float] = []
        self._runs: list[float] = []

    def add(self, values: Sequence[float], answers: Sequence[Hashable | None] | None = None) -> None:
        """Take in a task's values in order of rollout, with the answers they were given for."""
        for _ in range(len(values) - len(self._tasks)):
            self._tasks.append(0)
            for sums in (self._passed, self._averaged, self._agreed, self._runs):
                sums.append(0.0)
        if len(values) == 1:
            answered = answers is not None and answers[0] is not None
            self._add_alone(values[0], values[0] if answered else 0.0)
            return
        agreed = majority_curve(values, answers) if answers is not None else (0.0 for _ in values)
        rows = zip(values, accumulate(values), pass_curve(values), agreed, strict=True)
        for place, (value, total, passed, agreement) in enumerate(rows):
            self._tasks[place] += 1
            self._runs[place] += value
            self._averaged[place] += total / (place + 1)
            self._passed[place] += passed
            self._agreed[place] += agreement

    def _add_alone(self, value: float, agreement: float) -> None:
        """Take in the only value of a task, which every curve begins with."""
        self._tasks[0] += 1
        self._runs[0] += value
        self._averaged[0] += value
        self._passed[0] += value
        self._agreed[0] += agreement

    @property
    def max_k(self) -> int:
        """The most values any task has."""
        return len(self._tasks)

    def per_run(self) -> list[float]:
        """For each rollout number the mean score of that rollout over tasks, in percent."""
        return [100.0 * total / tasks for total, tasks in zip(self._runs, self._tasks, strict=True)]

    def passed(self, k: int) -> float:
        """pass@k in percent."""
        return 100.0 * self._passed[k - 1] / self._tasks[k - 1]

    def metrics(self, name: str, *, majority: bool = False) -> dict[str, float]:
        """Every curve under its published name."""
        found: dict[str, float] = {}
        deviations = list(running_deviation(self.per_run()))
        for k, tasks in enumerate(self._tasks, start=1):
            found[f"pass@{k}/{name}"] = self.passed(k)
            average = f"pass@1[avg-of-{k}]/{name}"
            found[average] = 100.0 * self._averaged[k - 1] / tasks
            if k > 1:
                found[f"{average}/std_dev_across_runs"] = deviations[k - 1]
                found[f"{average}/std_err_across_runs"] = deviations[k - 1] / math.sqrt(k)
            if majority:
                found[f"majority@{k}/{name}"] = 100.0 * self._agreed[k - 1] / tasks
        return found


def pass_curve(values: Sequence[float]) -> Iterator[float]:
    """pass@1 .. pass@n of one task's n values.

    For values of 0 and 1 the unbiased estimate 1 - C(wrong, k)/C(n, k) (Chen et al. 2021, "Evaluating Large
    Language Models Trained on Code", equation 1); for others the best of the first k.
    """
    if any(value not in (0.0, 1.0) for value in values):
        yield from accumulate(values, max)
        return
    wrong = sum(1 for value in values if value == 0.0)
    all_wrong = 1.0
    for drawn in range(len(values)):
        all_wrong *= max(0, wrong - drawn) / (len(values) - drawn)
        yield 1.0 - all_wrong


def majority_curve(values: Sequence[float], answers: Sequence[Hashable | None]) -> Iterator[float]:
    """The score of the commonest (answer, score) among the first 1 .. n; ties share, no answer is 0."""
    counts: dict[tuple[Hashable, float], int] = {}
    best, tied_total, tied = 0, 0.0, 0
    for value, answer in zip(values, answers, strict=True):
        if answer is not None:
            count = counts[answer, value] = counts.get((answer, value), 0) + 1
            if count > best:
                best, tied_total, tied = count, value, 1
            elif count == best:
                tied_total, tied = tied_total + value, tied + 1
        yield tied_total / tied if tied else 0.0


def running_deviation(values: Iterable[float]) -> Iterator[float]:
    """The sample standard deviation of the first 1 .. n values, by Welford's update; NaN for the first."""
    mean = spread = 0.0
    for count, value in enumerate(values, start=1):
        delta = value - mean
        mean += delta / count
        spread += delta * (value - mean)
        yield math.sqrt(spread / (count - 1)) if count > 1 else math.nan


def describe(columns: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """`mean/<name>`, `max`, `min`, `median` and sample `std` of each column; NaN entries don't count.

    A deviation that one value can't have is left out, except where every column has but one value (a
    single row): there it is 0 for the columns that miss none.
    """
    if all(len(column) == 1 for column in columns.values()):
        return describe_one({name: value for name, (value,) in columns.items() if value == value})
    return _describe_many(columns)


def describe_one(row: Mapping[str, float]) -> dict[str, float]:
    """What `describe` tells of a single row's values, none of them NaN."""
    found: dict[str, float] = {}
    for name, value in row.items():
        mean, most, least, median, deviation = _names(name)
        found[mean] = found[most] = found[least] = found[median] = value
        found[deviation] = 0.0
    return found


@lru_cache(maxsize=1024)
def _names(field: str) -> tuple[str, str, str, str, str]:
    return f"mean/{field}", f"max/{field}", f"min/{field}", f"median/{field}", f"std/{field}"


def _describe_many(columns: Mapping[str, Sequence[float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    single: list[str] = []
    deviates = False
    for name, column in columns.items():
        values = sorted(value for value in column if value == value)
        if not values:
            continue
        count = len(values)
        mean = math.fsum(values) / count
        found[f"mean/{name}"] = mean
        found[f"max/{name}"] = values[-1]
        found[f"min/{name}"] = values[0]
        found[f"median/{name}"] = (values[(count - 1) // 2] + values[count // 2]) / 2
        if count > 1:
            deviates = True
            squares = math.fsum((value - mean) ** 2 for value in values)
            found[f"std/{name}"] = math.sqrt(squares / (count - 1))
        elif len(column) == 1:
            single.append(name)
    if not deviates:
        found |= {f"std/{name}": 0.0 for name in single}
    return found


@lru_cache(maxsize=1024)
def t_quantile_975(degrees: int) -> float:
    """The 97.5% quantile of Student's t for `degrees` >= 1 degrees of freedom, to about 7 digits.

    Up to 30 by bisection of the exact finite series (Abramowitz and Stegun 26.7.3-4), above by the
    Cornish-Fisher expansion (26.7.5).
    """
    if degrees > 30:
        z = 1.959963984540054
        terms = (
            (z**3 + z) / 4,
            (5 * z**5 + 16 * z**3 + 3 * z) / 96,
            (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
            (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
        )
        return z + sum(term / degrees**power for power, term in enumerate(terms, start=1))
    low, high = 1.9, 12.8
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _inside(middle, degrees) < 0.95 else (low, middle)
    return (low + high) / 2


def _inside(t: float, degrees: int) -> float:
    """The probability that |T| < t."""
    angle = math.atan(t / math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2
    term, total = (cosine, cosine) if odd else (1.0, 1.0)
    for step in range(3 if odd else 2, degrees, 2):
        term *= (step - 1) / step * cosine * cosine
        total += term
    if not odd:
        return sine * total
    return (angle + (sine * total if degrees > 1 else 0.0)) * 2 / math.pi
