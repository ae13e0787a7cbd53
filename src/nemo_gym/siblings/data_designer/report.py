"""The report of a refinement: what rollouts showed, what changed in the configuration, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from nemo_gym.siblings.data_designer import charts
from nemo_gym.siblings.data_designer.charts import Share, percent
from nemo_gym.siblings.data_designer.evidence import Evidence, GroupResult, SuspicionRule, TaskResult, text_of
from nemo_gym.siblings.data_designer.page import (
    Block,
    Bullets,
    Chart,
    Heading,
    Page,
    Paragraph,
    Table,
    short,
)
from nemo_gym.siblings.data_designer.refine import Refinement, RefineOptions, WeightChange, instructive

_MOST_VALUES = 10
"""The most values of a column in a chart or a table."""
_MOST_EXAMPLES = 6
_MOST_BINS = 8


def refinement_page(
    evidence: Evidence,
    refinement: Refinement,
    options: RefineOptions | None = None,
    rule: SuspicionRule | None = None,
    *,
    name: str = "",
) -> Page:
    """The page about one refinement.

    Args:
        name: the name of the next configuration.
    """
    options, rule = options or RefineOptions(), rule or SuspicionRule()
    total = evidence.group()
    subject = " · ".join(part for part in (evidence.subject, evidence.run.name) if part)
    page = Page(
        title="What the rollouts showed, and the next data set",
        subtitle=f"{subject}{f' → {name}' if name else ''}",
        figures=[
            (f"{total.rate:.0%}", f"pass rate{_interval(total)}"),
            (f"{len(evidence.tasks) + evidence.unscored:,}", "tasks"),
            (f"{total.rollouts:,}", "scored rollouts"),
            (f"{_share(total.never + total.always, len(total.tasks))}", "tasks where all rollouts are alike"),
            (f"{evidence.failed:,}", "failed rollouts, in no rate"),
        ],
    )
    page.blocks += [
        *_summary(evidence, refinement),
        *_changes(refinement, options),
        *_rates(evidence),
        *_difficulty(evidence),
        *_kinds(evidence),
        *_suspects(evidence, rule),
        *_examples(evidence, refinement),
        *_notes(refinement),
    ]
    return page


def _summary(evidence: Evidence, refinement: Refinement) -> Iterator[Block]:
    yield Heading("In short")
    items: list[str] = []
    for column in _compared(evidence):
        groups = sorted(grouped(evidence, column), key=lambda one: one.rate)
        weak, strong = groups[0], groups[-1]
        items.append(
            f"{column}: “{short(weak.label)}” is the weakest ({weak.rate:.0%} solved), "
            f"“{short(strong.label)}” the strongest ({strong.rate:.0%})."
        )
    for change in _whole(refinement):
        place = max(range(len(change.after)), key=lambda place: change.after[place] - change.before[place])
        items.append(
            f"The next data set has more of {change.column} = {short(text_of(change.values[place]))}: "
            f"{percent(change.after[place])} of the rows instead of {percent(change.before[place])}."
        )
    for column in dict.fromkeys(change.column for change in _conditional(refinement)):
        items.append(f"The weights of {column} change under conditions, see below.")
    if not refinement.weights:
        items.append("No weight changes: the values of each sampler differ by no more than chance.")
    if refinement.skips:
        names = ", ".join(skip.column for skip in refinement.skips)
        items.append(f"No LLM calls are spent on {', '.join(refinement.skips[0].values)} ({names}).")
    if refinement.seeds:
        items.append(f"{len(refinement.seeds)} instructive failures are seed rows.")
    if evidence.suspects:
        items.append(f"Labels that may be wrong: {len(evidence.suspects)}. Look at them before the next run.")
    yield Bullets(items)


def _changes(refinement: Refinement, options: RefineOptions) -> Iterator[Block]:
    yield Heading("What changes")
    for place, change in enumerate(_whole(refinement)):
        yield Chart(
            f"weights_{place}",
            charts.before_after(
                _largest_changes(change), f"Weights of {change.column}", ("this data set", "next data set")
            ),
            f"Weights of {change.column}: {change.reason}.",
        )
    conditional = _conditional(refinement)
    if conditional:
        yield Table(
            ["Sampler", "Where", "New weights, the largest first"],
            [
                [
                    change.column,
                    short(change.condition, 80),
                    ", ".join(
                        f"{short(value, 40)} {percent(before)} → {percent(after)}"
                        for value, before, after in _largest_changes(change)[:_MOST_EXAMPLES]
                    ),
                ]
                for change in conditional[:_MOST_VALUES]
            ],
        )
    if len(conditional) > _MOST_VALUES:
        yield Paragraph(f"{len(conditional) - _MOST_VALUES} more changes are in the configuration.")
    measure = "4 r (1 − r)" if options.aim == "learnable" else "1 − r"
    yield Paragraph(
        f"The rule: weight = {options.floor:g} / number of values + {1 - options.floor:g} × score / "
        f"sum of scores. The score of a value is the mean of {measure} over its tasks, where r is the "
        "share of rollouts that solved a task, moved towards the mean of all values by the part of "
        "the difference that is noise (DerSimonian and Laird 1986). A value without tasks keeps its "
        "weight."
    )
    if refinement.skips:
        yield Table(
            ["LLM column", "Not generated when"],
            [[skip.column, skip.when] for skip in refinement.skips],
        )


def _whole(refinement: Refinement) -> list[WeightChange]:
    """Changes of the parameters of a column itself."""
    return [change for change in refinement.weights if not change.condition]


def _conditional(refinement: Refinement) -> list[WeightChange]:
    """Changes of parameters under a condition."""
    return [change for change in refinement.weights if change.condition]


def _largest_changes(change: WeightChange) -> list[tuple[str, float, float]]:
    rows = [
        (text_of(value), before, after)
        for value, before, after in zip(change.values, change.before, change.after, strict=True)
    ]
    if len(rows) > _MOST_VALUES:
        rows = sorted(rows, key=lambda row: -abs(row[2] - row[1]))[:_MOST_VALUES]
    return sorted(rows, key=lambda row: -row[2])


def _rates(evidence: Evidence) -> Iterator[Block]:
    for place, column in enumerate(_compared(evidence)):
        groups = grouped(evidence, column)
        weak = min(groups, key=lambda one: one.rate)
        order = "the weakest first" if weak is groups[0] else "the weakest in red"
        rows = [
            Share(
                one.label,
                one.rate,
                one.interval,
                f"{one.rate:.0%} of {len(one.tasks):,} tasks",
                charts.RED if one is weak else charts.BLUE,
            )
            for one in groups[:_MOST_VALUES]
        ]
        if place == 0:
            yield Heading("Pass rate by value")
        yield Chart(
            f"pass_rate_{place}",
            charts.shares(rows, f"Pass rate by {column}"),
            f"Solved rollouts by {column}, {order}, with 95% intervals (tasks as "
            f"clusters).{_left_out(groups)}",
        )


def _compared(evidence: Evidence) -> list[str]:
    """The columns with several values."""
    return [column for column in evidence.columns if len(grouped(evidence, column)) > 1]


def _left_out(groups: Sequence[GroupResult]) -> str:
    more = len(groups) - _MOST_VALUES
    return f" The {more:,} strongest of {len(groups):,} are left out." if more > 0 else ""


def grouped(evidence: Evidence, column: str) -> list[GroupResult]:
    """The tasks by the values of a column, the weakest first. Numbers with many values are put into four
    ranges with about the same number of tasks, in the order of the ranges."""
    groups = list(evidence.by_value(column).values())
    values = [task.values[column] for task in evidence.tasks if column in task.values]
    numbers = sorted(float(one) for one in values if isinstance(one, int | float))
    if len(groups) <= _MOST_VALUES or len(numbers) < len(values):
        return groups
    edges = sorted({numbers[len(numbers) * part // 4] for part in range(4)})
    ranges = zip(edges, [*edges[1:], float("inf")], strict=True)
    return [
        one
        for low, high in ranges
        if (one := evidence.group(_between(column, low, high), _range_label(low, high, numbers[-1]))).tasks
    ]


def _between(column: str, low: float, high: float) -> Callable[[TaskResult], bool]:
    return lambda task: low <= float(task.values.get(column, float("nan"))) < high


def _range_label(low: float, high: float, top: float) -> str:
    return f"{low:.4g} to {top:.4g}" if high == float("inf") else f"{low:.4g} to < {high:.4g}"


def _difficulty(evidence: Evidence) -> Iterator[Block]:
    tasks = evidence.group().tasks
    yield Heading("Difficulty of the tasks")
    most = max((task.scored for task in tasks), default=1)
    bins = most + 1 if most < _MOST_BINS else _MOST_BINS
    counts = Counter(round(task.rate * (bins - 1)) for task in tasks)
    rows = [
        (
            f"{place / (bins - 1):.0%}" if bins > 1 else "0%",
            counts[place],
            charts.GREY if place in (0, bins - 1) else charts.BLUE,
        )
        for place in range(bins)
    ]
    yield Chart(
        "difficulty",
        charts.histogram(
            rows, "Tasks by the share of solved rollouts", "share of rollouts that solve the task"
        ),
        "Number of tasks. At the two ends (grey) all rollouts are alike, so group-relative training "
        "learns nothing from these tasks.",
    )
    groups = [("all", evidence.group())]
    groups += [
        (f"{column}: {one.label}", one)
        for column in evidence.columns
        for one in grouped(evidence, column)[:_MOST_VALUES]
    ]
    yield Table(
        ["Value", "Tasks", "Rollouts", "Pass rate", "Never solved", "Always solved", "Reward variance"],
        [
            [
                short(label, 60),
                f"{len(one.tasks)}",
                f"{one.rollouts}",
                f"{one.rate:.0%}",
                f"{one.never}",
                f"{one.always}",
                f"{one.spread:.2f}",
            ]
            for label, one in groups
        ],
        frozenset(range(1, 7)),
    )
    yield Paragraph(
        "Reward variance is the mean of 4 r (1 − r): 1 where half of the rollouts of each task solve it."
    )


def _kinds(evidence: Evidence) -> Iterator[Block]:
    kinds = [kind for kind, _ in evidence.group().failures.most_common()]
    if not kinds:
        return
    yield Heading("How rollouts fail")
    by_column = {f"by {column}": grouped(evidence, column) for column in _compared(evidence)}
    for place, (label, groups) in enumerate((by_column or {"all": [evidence.group()]}).items()):
        rows = [(one.label, {kind: one.failures[kind] for kind in kinds}) for one in groups[:_MOST_VALUES]]
        yield Chart(
            f"failures_{place}",
            charts.stacked(rows, f"Kinds of failure, {label}"),
            f"Rollouts that did not solve their task, {label}.{_left_out(groups)}",
        )


def _suspects(evidence: Evidence, rule: SuspicionRule) -> Iterator[Block]:
    yield Heading("Suspected wrong labels")
    yield Paragraph(
        f"The rule: at least {rule.least_rollouts} rollouts of a task were scored, none solved it, all "
        "have the same answer, and the mean pass rate of the other tasks, and of those with the same "
        f"values, is {rule.strong:.0%} or more. Suspects count in no rate, and are no seeds."
    )
    if not evidence.strong:
        yield Paragraph(
            "This run is too weak for the rule: where most answers are wrong, an answer that repeats "
            "says nothing about the label."
        )
    elif not evidence.suspects:
        yield Paragraph("None.")
    else:
        yield Table(
            ["Task", "Prompt", "Label", "Answer of all rollouts"],
            [
                [f"{task.index}", short(task.prompt), short(task.expected, 60), short(task.wrong, 60)]
                for task in evidence.suspects[:_MOST_VALUES]
            ],
        )
        if len(evidence.suspects) > _MOST_VALUES:
            yield Paragraph(f"{len(evidence.suspects) - _MOST_VALUES} more have the same pattern.")


def _examples(evidence: Evidence, refinement: Refinement) -> Iterator[Block]:
    tasks = instructive(evidence, _MOST_EXAMPLES)
    if not tasks:
        return
    yield Heading("Instructive failures")
    if refinement.seeds_path is not None:
        yield Paragraph(f"{len(refinement.seeds)} rows like these are in {refinement.seeds_path.name}.")
    yield Table(
        ["Task", "Prompt", "Expected", "A wrong answer", "Solved"],
        [_example(task) for task in tasks],
        frozenset({4}),
    )


def _example(task: TaskResult) -> list[str]:
    values = ", ".join(text_of(value) for value in task.values.values())
    return [
        f"{task.index}{f' ({short(values, 40)})' if values else ''}",
        short(task.prompt),
        short(task.expected, 60),
        short(task.wrong, 80),
        f"{task.solved} of {task.scored}",
    ]


def _notes(refinement: Refinement) -> Iterator[Block]:
    if refinement.notes:
        yield Heading("Notes")
        yield Bullets([f"{note[:1].upper()}{note[1:]}." for note in refinement.notes])


def _interval(group: GroupResult) -> str:
    interval = group.interval
    return f" ({interval[0]:.0%} to {interval[1]:.0%})" if interval else ""


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "none"
