"""The statistics of rewards: clustered confidence intervals, pass@k, majority@k, plain descriptions."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Final

from nemo_gym.stats.reward_scale import UNKNOWN_SCALE, RewardScale

_Z: Final = 1.959963984540054
"""The 97.5% quantile of the normal distribution."""


class ClusteredMean:
    """The mean of rewards and its 95% half-width, kept up to date at constant cost per reward.

    Repeats of one task are not independent, so the standard error is cluster-robust by task (Liang and
    Zeger 1986), scaled by G/(G-1) for G tasks, with the t quantile for G-1 degrees of freedom (Cameron and
    Miller 2015, "A Practitioner's Guide to Cluster-Robust Inference", sections II.B and VI).

    Args:
        num_repeats: rollouts per task, where all tasks have the same number; complete tasks then need no
            memory.
        scale: the range of rewards.
    """

    __slots__ = (
        "_between",
        "_count",
        "_ends",
        "_open",
        "_outside",
        "_repeats",
        "_shift",
        "_squares",
        "_tasks",
        "_total",
    )

    def __init__(self, num_repeats: int | None = None, scale: RewardScale = UNKNOWN_SCALE) -> None:
        self._repeats = num_repeats
        self._ends = (scale.low, scale.high)
        self._between = False
        self._outside = False
        self._open: dict[int, tuple[float, int]] = {}
        self._tasks = 0
        self._count = 0
        self._total = 0.0
        self._shift = 0.0
        # Sums over tasks of sum*sum, sum*count and count*count, of rewards less the first reward.
        self._squares = (0.0, 0.0, 0)

    def add(self, task_index: int, reward: float) -> None:
        """Add one reward."""
        if reward not in self._ends:
            self._between = True
            if not self._ends[0] <= reward <= self._ends[1]:
                self._outside = True
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
        """The number of rewards."""
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
    def is_binary(self) -> bool:
        """Whether every reward is the lowest or the highest possible one."""
        return not self._between

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95% confidence interval of the mean, inside the range of rewards.

        Where every reward is one of the two ends it is Wilson's score interval, with the effective number of
        rollouts (the variance of independent rollouts, over the cluster-robust one). None with fewer than two
        tasks, or when all rewards are equal and show no variance.
        """
        half = self.half_width
        if half is None:
            return None
        low, high = self._ends
        if not self._between:
            return self._score_interval(low, high - low) if high > low else None
        if half == 0.0:
            return None
        ends = (self.mean - half, self.mean + half)
        return ends if self._outside else (max(low, ends[0]), min(high, ends[1]))

    def _score_interval(self, low: float, width: float) -> tuple[float, float]:
        share = min(1.0, max(0.0, (self.mean - low) / width))
        count, quantile = float(self._count), _Z
        error = (self.standard_error or 0.0) / width
        if self._count > self._tasks and 0.0 < share < 1.0 and error > 0.0:
            count, quantile = min(count, share * (1 - share) / error**2), t_quantile_975(self._tasks - 1)
        elif self._count > self._tasks and share in (0.0, 1.0):
            count = float(self._tasks)
        bottom, top = wilson_interval(share, count, quantile)
        return low + width * bottom, low + width * top


def wilson_interval(share: float, count: float, quantile: float) -> tuple[float, float]:
    """The score interval of a share of `count` trials, for the two-sided normal or t `quantile` (Wilson 1927,
    "Probable Inference, the Law of Succession, and Statistical Inference")."""
    weight = quantile * quantile / count
    centre = (share + weight / 2) / (1 + weight)
    half = math.sqrt(weight * (share * (1 - share) + weight / 4)) / (1 + weight)
    return (
        0.0 if share == 0.0 else max(0.0, centre - half),
        1.0 if share == 1.0 else min(1.0, centre + half),
    )


class SolvedCurves:
    """pass@k and best@k of rewards: the share of tasks that one of k rollouts solves, and the expected best
    of k rollouts. The order of a task's rollouts does not matter.

    A task with fewer than k rollouts counts with all of them, which can only lower the figure. There are
    figures for k = 1, 2, 4, ... and the most rollouts of any task.

    Args:
        scale: the lowest reward that means solved.
    """

    def __init__(self, scale: RewardScale = UNKNOWN_SCALE) -> None:
        self._solved_at = scale.solved_at - scale.slack
        self._sizes: dict[int, int] = {}
        self._passes = [[0.0, 0.0], [0.0, 0.0]]
        self._best = [[0.0, 0.0], [0.0, 0.0]]

    def add(self, rewards: Sequence[float]) -> None:
        """Add the rewards of a task."""
        if not rewards:
            return
        size = len(rewards)
        self._sizes[size] = self._sizes.get(size, 0) + 1
        if size == 1:
            self._add_alone(rewards[0])
            return
        ascending = sorted(rewards)
        solved = [1.0 if reward >= self._solved_at else 0.0 for reward in ascending]
        for curves, values in ((self._passes, solved), (self._best, ascending)):
            while len(curves) <= size.bit_length():
                curves.append([0.0, 0.0])
            _add_to(curves, values)

    def _add_alone(self, reward: float) -> None:
        """Add the only reward of a task."""
        passed, best = self._passes, self._best
        if reward >= self._solved_at:
            passed[0][0] += 1.0
            passed[1][1] += 1.0
        best[0][0] += reward
        best[1][1] += reward

    @property
    def tasks(self) -> int:
        """Tasks with at least one reward."""
        return sum(self._sizes.values())

    @property
    def ks(self) -> list[int]:
        """The numbers of rollouts with figures."""
        most = max(self._sizes, default=0)
        return sorted({1 << power for power in range(most.bit_length())} | {most}) if most else []

    def tasks_with(self, k: int) -> int:
        """Tasks with at least k rewards."""
        return sum(tasks for size, tasks in self._sizes.items() if size >= k)

    def passed(self, k: int) -> float:
        """The share of tasks that one of k rollouts solves, in percent."""
        return 100.0 * self._most(self._passes, k)

    def best(self, k: int) -> float:
        """The expected best reward of k rollouts, averaged over tasks."""
        return self._most(self._best, k)

    def _most(self, curves: list[list[float]], k: int) -> float:
        """The mean at k; the maximum over smaller k only corrects rounding."""
        return max(self._mean(curves, smaller) for smaller in self.ks if smaller <= k)

    def _mean(self, curves: list[list[float]], k: int) -> float:
        if k & (k - 1):
            return sum(tops for _, tops in curves) / self.tasks
        power = k.bit_length() - 1
        short = sum(tops for _, tops in curves[: power + 1])
        return (curves[power][0] + short) / self.tasks


def _add_to(curves: list[list[float]], values: Sequence[float]) -> None:
    """Add a task's ascending values to sums: at place p, over tasks, of the expected best of 2**p values, and
    of the very best of the tasks whose number of values has p binary digits."""
    digits, top = len(values).bit_length(), values[-1]
    alike = values[0] == top
    for power in range(digits):
        curves[power][0] += top if alike else best_of(values, 1 << power)
    curves[digits][1] += top


def best_of(values: Sequence[float], k: int) -> float:
    """The expected maximum of k of the ascending `values`, drawn without replacement: unbiased for k draws
    from where they came from. Of values 0 and 1 it is pass@k (Chen et al. 2021, "Evaluating Large Language
    Models Trained on Code", equation 1)."""
    least, top = values[k - 1], values[-1]
    if least == top:
        return top
    total, weight = 0.0, k / len(values)
    for place in range(len(values), k - 1, -1):
        total += weight * values[place - 1]
        weight *= (place - k) / (place - 1) if place > 1 else 0.0
    return min(max(total, least), top)


class PassCurves:
    """pass@k, pass@1[avg-of-k] and majority@k of one score, for every k.

    A task counts for k when it has at least k values. All results are percentages.
    """

    def __init__(self) -> None:
        self._tasks: list[int] = []
        self._passes: list[float] = []
        self._averages: list[float] = []
        self._majorities: list[float] = []
        self._runs: list[float] = []

    def add(self, values: Sequence[float], answers: Sequence[Hashable | None] | None = None) -> None:
        """Add a task's values in order of rollout, with the answers that they are for."""
        for _ in range(len(values) - len(self._tasks)):
            self._tasks.append(0)
            for sums in (self._passes, self._averages, self._majorities, self._runs):
                sums.append(0.0)
        if len(values) == 1:
            has_answer = answers is not None and answers[0] is not None
            self._add_alone(values[0], values[0] if has_answer else 0.0)
            return
        majority = majority_curve(values, answers) if answers is not None else (0.0 for _ in values)
        rows = zip(values, accumulate(values), pass_curve(values), majority, strict=True)
        for place, (value, total, passed, agreement) in enumerate(rows):
            self._tasks[place] += 1
            self._runs[place] += value
            self._averages[place] += total / (place + 1)
            self._passes[place] += passed
            self._majorities[place] += agreement

    def _add_alone(self, value: float, agreement: float) -> None:
        """Add the only value of a task."""
        self._tasks[0] += 1
        self._runs[0] += value
        self._averages[0] += value
        self._passes[0] += value
        self._majorities[0] += agreement

    @property
    def max_k(self) -> int:
        """The most values of any task."""
        return len(self._tasks)

    def per_run(self) -> list[float]:
        """For each rollout number the mean score of that rollout over tasks, in percent."""
        return [100.0 * total / tasks for total, tasks in zip(self._runs, self._tasks, strict=True)]

    def passed(self, k: int) -> float:
        """pass@k in percent."""
        return 100.0 * self._passes[k - 1] / self._tasks[k - 1]

    def metrics(self, name: str, *, majority: bool = False) -> dict[str, float]:
        """Every curve under its published name."""
        figures: dict[str, float] = {}
        deviations = list(running_deviation(self.per_run()))
        for k, tasks in enumerate(self._tasks, start=1):
            figures[f"pass@{k}/{name}"] = self.passed(k)
            average = f"pass@1[avg-of-{k}]/{name}"
            figures[average] = 100.0 * self._averages[k - 1] / tasks
            if k > 1:
                figures[f"{average}/std_dev_across_runs"] = deviations[k - 1]
                figures[f"{average}/std_err_across_runs"] = deviations[k - 1] / math.sqrt(k)
            if majority:
                figures[f"majority@{k}/{name}"] = 100.0 * self._majorities[k - 1] / tasks
        return figures


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
    for count in range(len(values)):
        all_wrong *= max(0, wrong - count) / (len(values) - count)
        yield 1.0 - all_wrong


def majority_curve(values: Sequence[float], answers: Sequence[Hashable | None]) -> Iterator[float]:
    """The score of the most frequent (answer, score) among the first 1 .. n values. A tie is the mean of its
    scores; no answer is 0."""
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

    The deviation of a single value is left out, except where every column has one entry (a single row): there
    it is 0 for the columns with a value.
    """
    if all(len(column) == 1 for column in columns.values()):
        return describe_one({name: value for name, (value,) in columns.items() if value == value})
    return _describe_many(columns)


def describe_one(row: Mapping[str, float]) -> dict[str, float]:
    """The result of `describe` for a single row, whose values are not NaN."""
    figures: dict[str, float] = {}
    for name, value in row.items():
        mean, most, least, median, deviation = _names(name)
        figures[mean] = figures[most] = figures[least] = figures[median] = value
        figures[deviation] = 0.0
    return figures


@lru_cache(maxsize=1024)
def _names(field: str) -> tuple[str, str, str, str, str]:
    return f"mean/{field}", f"max/{field}", f"min/{field}", f"median/{field}", f"std/{field}"


def _describe_many(columns: Mapping[str, Sequence[float]]) -> dict[str, float]:
    figures: dict[str, float] = {}
    single: list[str] = []
    deviates = False
    for name, column in columns.items():
        total = math.fsum(column)
        if total == total:
            values = sorted(column)
        else:
            values = sorted(value for value in column if value == value)
            total = math.fsum(values)
        if not values:
            continue
        count = len(values)
        mean = total / count
        figures[f"mean/{name}"] = mean
        figures[f"max/{name}"] = values[-1]
        figures[f"min/{name}"] = values[0]
        figures[f"median/{name}"] = (values[(count - 1) // 2] + values[count // 2]) / 2
        if count > 1:
            deviates = True
            figures[f"std/{name}"] = math.dist(values, [mean] * count) / math.sqrt(count - 1)
        elif len(column) == 1:
            single.append(name)
    if not deviates:
        figures |= {f"std/{name}": 0.0 for name in single}
    return figures


@lru_cache(maxsize=1024)
def t_quantile_975(degrees: int) -> float:
    """The 97.5% quantile of Student's t for `degrees` >= 1 degrees of freedom, to about 7 digits.

    Up to 30 by bisection of the exact finite series (Abramowitz and Stegun 26.7.3-4), above by the
    Cornish-Fisher expansion (26.7.5).
    """
    if degrees > 30:
        z = _Z
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
