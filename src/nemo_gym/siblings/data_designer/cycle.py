"""Cycles of data set, rollouts and refinement, compared: did the weak value grow by more than chance?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nemo_gym.siblings.data_designer import charts
from nemo_gym.siblings.data_designer.evidence import (
    Evidence,
    GroupResult,
    column_value,
    read_evidence,
    text_of,
)
from nemo_gym.siblings.data_designer.page import Chart, Heading, Links, Page, Paragraph, Table, short
from nemo_gym.stats.two_samples import Difference, homogeneity, two_proportions
from nemo_gym.wire.jsonl import read_rows

_MOST_TEXT: Final = 30
"""Characters of a value in a heading."""


@dataclass(frozen=True, slots=True)
class Shift:
    """How the rows of a data set moved to one value of a sampler, from one cycle to another."""

    value: str
    before: tuple[int, int]
    """Rows with the value, and all rows."""
    after: tuple[int, int]
    proportion: Difference | None
    """The test of the value's share: `two_proportions`."""
    mixture: Difference | None
    """The test of all values' shares: `homogeneity`."""

    @property
    def rise(self) -> float:
        """The difference of the shares."""
        return self.after[0] / self.after[1] - self.before[0] / self.before[1]


@dataclass(frozen=True, slots=True)
class Cycle:
    """A data set and what the rollouts of its tasks, or of some of them, showed."""

    evidence: Evidence
    rows: Mapping[str, int]
    """The rows of the data set by the value of the column that is compared."""


def read_cycle(tasks: Path, run: Path, column: str) -> Cycle:
    """The cycle of a file of tasks and a run over them.

    Raises:
        UsageError: a file can't be read, or no row has the column.
    """
    values = (column_value(row, column) for _, row in read_rows(tasks))
    rows = Counter(text_of(value) for value in values if value is not None)
    return Cycle(read_evidence(run, [column]), rows)


def weakest(evidence: Evidence, column: str) -> str:
    """The value of a column with the lowest pass rate."""
    return next(iter(evidence.by_value(column)))


def shift(first: Cycle, second: Cycle, column: str, value: str = "") -> Shift:
    """How the rows moved to a value.

    Args:
        value: by default the weakest of the first cycle.
    """
    value = value or weakest(first.evidence, column)
    before, after = first.rows, second.rows
    names = list(dict.fromkeys([*before, *after]))
    hits = [(counts.get(value, 0), sum(counts.values())) for counts in (before, after)]
    return Shift(
        value,
        hits[0],
        hits[1],
        two_proportions(*hits),
        homogeneity([before.get(name, 0) for name in names], [after.get(name, 0) for name in names]),
    )


def cycle_page(cycles: Sequence[Cycle], column: str, *, reports: Sequence[str] = ()) -> Page:
    """The page about several cycles.

    Args:
        cycles: at least two.
        column: the sampler column whose values are compared.
        reports: the report of each refinement, as a path from the page.
    """
    runs = [one.evidence for one in cycles]
    first, last = runs[0], runs[-1]
    labels = [f"cycle {number}" for number in range(1, len(cycles) + 1)]
    groups = [one.by_value(column) for one in runs]
    names = list(dict.fromkeys(name for one in groups for name in one))
    weak = names[0]
    whole = shift(cycles[0], cycles[-1], column)
    page = Page(
        title="Bootstrap, refine, iterate",
        subtitle=" · ".join(part for part in (first.subject, f"{len(cycles)} cycles by “{column}”") if part),
        figures=[
            (short(weak, _MOST_TEXT), "weakest value of the first cycle"),
            (f"{whole.before[0] / whole.before[1]:.0%} → {whole.after[0] / whole.after[1]:.0%}", "its rows"),
            (f"{groups[0][weak].rate:.0%} → {_rate(groups[-1].get(weak))}", "its pass rate"),
            (f"{first.group().rate:.0%} → {last.group().rate:.0%}", "pass rate of all"),
            (f"{sum(one.group().rollouts for one in runs):,}", "scored rollouts"),
        ],
    )
    page.blocks += [
        Paragraph(
            "Data Designer writes the tasks of a cycle, the model answers them, the environment "
            "verifies the answers, and the refinement gives the weak values more weight in the next cycle."
        ),
        Heading("What is in each data set"),
        Chart(
            "rows",
            charts.lines(_row_shares(cycles, names), labels, f"Rows by {column}", "share of the rows"),
            f"Share of the rows by {column}.",
        ),
        *_tests(cycles, column),
        Heading("What the model solves"),
        Chart(
            "rates",
            charts.lines(
                {name: [one[name].rate if name in one else None for one in groups] for name in names},
                labels,
                f"Pass rate by {column}",
                "pass rate",
            ),
            f"Pass rate by {column} in each cycle.",
        ),
        _rates_table(runs, groups, names, labels),
        Paragraph(
            "Where the model does not learn between the cycles, as in the demo, the rate of each value "
            "changes by chance only, and the rate of all follows the mixture of the data set. Where it is "
            "trained between the cycles, the weak value's rate is what should rise."
        ),
    ]
    if reports:
        links = [(f"after cycle {number}", path) for number, path in enumerate(reports, start=1)]
        page.blocks += [Heading("The report of each refinement"), Links(links)]
    return page


def _tests(cycles: Sequence[Cycle], column: str) -> list[Paragraph | Table]:
    value = weakest(cycles[0].evidence, column)
    rows: list[list[str]] = []
    for number, cycle in enumerate(cycles[1:], start=2):
        one = shift(cycles[0], cycle, column, value)
        rows.append(
            [
                f"1 to {number}",
                f"{one.before[0]} of {one.before[1]}",
                f"{one.after[0]} of {one.after[1]}",
                "" if one.proportion is None else f"{one.proportion.statistic:.2f}",
                "" if one.proportion is None else p_text(one.proportion.p_value),
                "" if one.mixture is None else f"{one.mixture.statistic:.1f} ({one.mixture.degrees})",
                "" if one.mixture is None else p_text(one.mixture.p_value),
            ]
        )
    return [
        Table(
            ["Cycles", f"{short(value, _MOST_TEXT)}, before", "after", "z", "p", "χ² (df)", "p"],
            rows,
            frozenset(range(1, 7)),
        ),
        Paragraph(
            "Two tests of whether the rows moved: z is the two-proportion test of the share of "
            f"“{short(value)}” with pooled variance, z = (p₂ − p₁) / √(p (1 − p) (1/n₁ + 1/n₂)); χ² is "
            "Pearson's test of the shares of all values (both in Fleiss, Levin and Paik 2003, "
            "Statistical Methods for Rates and Proportions)."
        ),
    ]


def _row_shares(cycles: Sequence[Cycle], names: Sequence[str]) -> dict[str, list[float | None]]:
    return {
        name: [one.rows.get(name, 0) / max(1, sum(one.rows.values())) for one in cycles] for name in names
    }


def _rates_table(
    cycles: Sequence[Evidence],
    groups: Sequence[Mapping[str, GroupResult]],
    names: Sequence[str],
    labels: Sequence[str],
) -> Table:
    rows = [[name, *(_cell(one.get(name)) for one in groups)] for name in names]
    rows.append(["all", *(_cell(one.group()) for one in cycles)])
    return Table(
        ["Pass rate of the tasks (95% interval)", *labels], rows, frozenset(range(1, len(labels) + 1))
    )


def _cell(group: GroupResult | None) -> str:
    if group is None or not group.tasks:
        return "no tasks"
    interval = group.interval
    ends = f" ({100 * interval[0]:.0f} to {100 * interval[1]:.0f})" if interval else ""
    return f"{group.rate:.0%} of {len(group.tasks)}{ends}"


def _rate(group: GroupResult | None) -> str:
    return "no tasks" if group is None else f"{group.rate:.0%}"


def p_text(p_value: float) -> str:
    """A p-value for people."""
    return "< 0.0001" if p_value < 0.0001 else f"{p_value:.4f}"
