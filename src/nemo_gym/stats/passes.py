"""Helpers for an environment's own metrics: pass@k, majority@k, subsets, and the choice of metrics."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

from nemo_gym.stats.statistics import PassCurves, running_deviation
from nemo_gym.wire.jsonl import encode

Tasks: TypeAlias = Sequence[Sequence[Mapping[str, Any]]]
"""The rollout rows of each task, in order of rollout."""

ScoreFunction: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, float]]
"""Scores of one rollout row by name, usually from 0 to 1."""

PER_SAMPLE: Final = "per_sample_aggregate"
"""The only metric that is no number: the values of each score by rollout number."""

ScoreDicts: TypeAlias = list[list[dict[str, float]]]
"""The scores of each rollout of each task."""


def compute_pass_majority_metrics(
    tasks: Tasks, score_fn: ScoreFunction | None = None, answer_key: str | None = None
) -> tuple[dict[str, Any], ScoreDicts, list[str], int]:
    """(metrics, scores per task and rollout, score names, largest k), in percent.

    Args:
        tasks: the rollout rows of each task.
        score_fn: the scores of a row; by default its reward, under the name `accuracy`.
        answer_key: the field holding the extracted answer; adds majority@k and the score `no_answer`.
    """
    all_scores: ScoreDicts = []
    curves: dict[str, PassCurves] = {}
    for rows in tasks:
        scores = [_scores(row, score_fn, answer_key) for row in rows]
        all_scores.append(scores)
        answers = [answer_identity(row.get(answer_key)) for row in rows] if answer_key else None
        for name in dict.fromkeys(name for score in scores for name in score):
            places = [place for place, score in enumerate(scores) if name in score]
            values = [scores[place][name] for place in places]
            curves.setdefault(name, PassCurves()).add(
                values, answers and [answers[place] for place in places]
            )
    names = list(curves)
    metrics: dict[str, Any] = {}
    for name in names:
        metrics |= curves[name].metrics(name, majority=answer_key is not None)
    metrics[PER_SAMPLE] = {name: curves[name].per_run() for name in names}
    return metrics, all_scores, names, max((curve.max_k for curve in curves.values()), default=0)


def add_avg_sample_std_dev(
    metrics: dict[str, Any], score_dicts: ScoreDicts, score_names: Iterable[str], max_k: int
) -> None:
    """Add `pass@1[avg-of-k]/<name>/avg_sample_std_dev` for k >= 2: how much the repeats of a task differ.

    The mean, over tasks with at least k values, of the sample standard deviation of the first k values, not
    in percent."""
    for name in score_names:
        totals = [0.0] * max_k
        tasks = [0] * max_k
        for scores in score_dicts:
            values = [score[name] for score in scores if name in score]
            for place, deviation in enumerate(running_deviation(values)):
                totals[place] += deviation
                tasks[place] += 1
        for k in range(2, max_k + 1):
            if tasks[k - 1]:
                metrics[f"pass@1[avg-of-{k}]/{name}/avg_sample_std_dev"] = totals[k - 1] / tasks[k - 1]


def compute_subset_metrics(
    tasks: Tasks,
    subset_key: str,
    score_fn: ScoreFunction | None = None,
    answer_key: str | None = None,
) -> dict[str, Any]:
    """The pass and majority metrics of each subset, named `<subset>/<metric>`.

    The subset of a task is the column `subset_key` of its first row; tasks without it are in no subset. The
    metric `PER_SAMPLE` is left out.
    """
    subsets: dict[str, list[Sequence[Mapping[str, Any]]]] = {}
    for rows in tasks:
        if rows and rows[0].get(subset_key) is not None:
            subsets.setdefault(str(rows[0][subset_key]), []).append(rows)
    result: dict[str, Any] = {}
    for subset in sorted(subsets):
        metrics, *_ = compute_pass_majority_metrics(subsets[subset], score_fn, answer_key)
        result |= {f"{subset}/{name}": value for name, value in metrics.items() if name != PER_SAMPLE}
    return result


def highest_k_metrics(
    metrics: Mapping[str, Any],
    pattern: str,
    score_names: Iterable[str] | None = None,
    exclude_names: Iterable[str] | None = None,
) -> dict[str, Any]:
    """The entries of a family such as `pass@{k}` or `pass@1[avg-of-{k}]` with the largest k.

    Standard deviations and errors are left out; `score_names` and `exclude_names` choose among scores.
    """
    before, _, after = pattern.partition("{k}")
    family = re.compile(f"{re.escape(before)}([0-9]{{1,9}}){re.escape(after)}/(.+)")
    names = None if score_names is None else frozenset(score_names)
    exclusions = frozenset(exclude_names or ())
    groups: dict[int, dict[str, Any]] = {}
    for key, value in metrics.items():
        match = family.fullmatch(key)
        if match is None or key.endswith(_STATISTICS):
            continue
        name = match[2]
        if name not in exclusions and (names is None or name in names):
            groups.setdefault(int(match[1]), {})[key] = value
    return groups[max(groups)] if groups else {}


def answer_identity(answer: Any) -> Hashable | None:
    """A value that is the same for equal answers; None for no answer."""
    return answer if answer is None or isinstance(answer, str) else encode(answer)


_STATISTICS: Final = ("/std_dev_across_runs", "/std_err_across_runs", "/avg_sample_std_dev")


def _scores(
    row: Mapping[str, Any], score_fn: ScoreFunction | None, answer_key: str | None
) -> dict[str, float]:
    values: Mapping[str, float] = {"accuracy": row["reward"]} if score_fn is None else score_fn(row)
    scores = {name: float(value) for name, value in values.items()}
    if answer_key is not None:
        scores["no_answer"] = float(cast("Any", row.get(answer_key)) is None)
    return scores
