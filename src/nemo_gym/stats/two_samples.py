"""Whether two samples differ by more than chance, and how much of a difference of groups is noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """The result of a test: its statistic, and the p-value of no difference."""

    statistic: float
    p_value: float
    degrees: int = 0
    """Degrees of freedom of a chi-square statistic."""


def two_proportions(first: tuple[int, int], second: tuple[int, int]) -> Difference | None:
    """The two-proportion z-test with the pooled variance: z = (p2 - p1) / sqrt(p (1 - p) (1/n1 + 1/n2)),
    where p is the share in both samples together (Fleiss, Levin and Paik 2003, "Statistical Methods for Rates
    and Proportions", without the correction for continuity).

    Args:
        first: hits and trials of the first sample.
        second: hits and trials of the second sample.

    Returns:
        None where a sample is empty, or both have only hits or no hits, and z is not defined.
    """
    (hits1, trials1), (hits2, trials2) = first, second
    if not (trials1 and trials2):
        return None
    pooled = (hits1 + hits2) / (trials1 + trials2)
    variance = pooled * (1 - pooled) * (1 / trials1 + 1 / trials2)
    if variance <= 0:
        return None
    z = (hits2 / trials2 - hits1 / trials1) / math.sqrt(variance)
    return Difference(z, math.erfc(abs(z) / math.sqrt(2)))


def homogeneity(first: Sequence[int], second: Sequence[int]) -> Difference | None:
    """Pearson's chi-square test that two samples have the same shares of k categories: the sum over both
    samples of (observed - expected)^2 / expected, with k - 1 degrees of freedom (Pearson 1900; Fleiss, Levin
    and Paik 2003, "Statistical Methods for Rates and Proportions").

    Args:
        first: counts of the k categories in the first sample.
        second: counts in the second sample.

    Returns:
        None where a sample is empty, or fewer than two categories have any count.
    """
    pairs = [(one, two) for one, two in zip(first, second, strict=True) if one + two]
    totals = (sum(one for one, _ in pairs), sum(two for _, two in pairs))
    if not all(totals) or len(pairs) < 2:
        return None
    statistic = 0.0
    for pair in pairs:
        for observed, total in zip(pair, totals, strict=True):
            expected = sum(pair) * total / sum(totals)
            statistic += (observed - expected) ** 2 / expected
    degrees = len(pairs) - 1
    return Difference(statistic, chi_square_tail(statistic, degrees), degrees)


def chi_square_tail(value: float, degrees: int) -> float:
    """The probability that chi-square with `degrees` >= 1 degrees of freedom is above `value`, by the finite
    series of Abramowitz and Stegun 26.4.4 and 26.4.5."""
    if value <= 0:
        return 1.0
    half = value / 2
    if degrees % 2:
        total = math.erfc(math.sqrt(half))
        term = math.sqrt(2 * value / math.pi) * math.exp(-half)
        for place in range(1, (degrees - 1) // 2 + 1):
            total += term
            term *= value / (2 * place + 1)
        return min(1.0, total)
    term = total = math.exp(-half)
    for place in range(1, degrees // 2):
        term *= half / place
        total += term
    return min(1.0, total)


def shrunk_means(groups: Sequence[Sequence[float]]) -> list[float] | None:
    """The mean of each group, moved towards the mean of all by the part of its distance that is noise.

    The mean of group v of n values becomes m + B (m_v - m) with B = t / (t + s/n). The variance t between
    groups is the estimate of DerSimonian and Laird (1986, "Meta-analysis in clinical trials"). The variance s
    is the pooled one inside groups, to which one value with the variance of all values is added: it is never
    zero by luck.

    Returns:
        None where the groups differ by no more than chance lets expect (t = 0).
    """
    groups = [list(group) for group in groups]
    sizes = [len(group) for group in groups]
    total = sum(sizes)
    if len(groups) < 2 or not all(sizes):
        return None
    means = [math.fsum(group) / len(group) for group in groups]
    mean = math.fsum(math.fsum(group) for group in groups) / total
    spread = math.fsum((value - mean) ** 2 for group in groups for value in group) / total
    inside = math.fsum(
        (value - own) ** 2 for group, own in zip(groups, means, strict=True) for value in group
    )
    variance = (inside + spread) / (total - len(groups) + 1)
    if variance <= 0:
        return None
    excess = math.fsum(
        size * (own - mean) ** 2 for size, own in zip(sizes, means, strict=True)
    ) / variance - (len(groups) - 1)
    between = excess * variance / (total - math.fsum(size * size for size in sizes) / total)
    if between <= 0:
        return None
    return [
        mean + between / (between + variance / size) * (own - mean)
        for size, own in zip(sizes, means, strict=True)
    ]
