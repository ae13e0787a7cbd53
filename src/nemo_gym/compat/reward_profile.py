"""Computes the metrics of rollouts for existing servers, which may extend them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from nemo_gym.compat.config_types import AggregateMetrics, AggregateMetricsRequest
from nemo_gym.environments.base import mean_metrics
from nemo_gym.runs.metrics import MetricsAccumulator
from nemo_gym.stats.passes import ScoreDicts, ScoreFunction
from nemo_gym.stats.passes import add_avg_sample_std_dev as add_avg_sample_std_dev
from nemo_gym.stats.passes import compute_pass_majority_metrics as _compute_pass_majority_metrics
from nemo_gym.stats.passes import compute_subset_metrics as compute_subset_metrics
from nemo_gym.stats.passes import highest_k_metrics as highest_k_metrics
from nemo_gym.wire import keys

Row = dict[str, Any]
Tasks = list[list[Row]]

PER_TASK: Final = "per_task_metrics"
"""The key of `compute_metrics` results whose objects, each with a task index, are added to the groups."""


class AggregateMetricsMixin:
    """The hooks with which a server adds to the metrics of its rollouts."""

    def compute_metrics(self, tasks: Tasks) -> dict[str, Any]:
        """Additional metrics, from the rows of each task in the order of task and rollout."""
        return {}

    def get_key_metrics(self, agent_metrics: dict[str, Any]) -> dict[str, Any]:
        """The most important metrics; by default every mean."""
        return mean_metrics(agent_metrics)

    async def aggregate_metrics(self, body: AggregateMetricsRequest) -> AggregateMetrics:
        """The metrics of these rows."""
        return compute_aggregate_metrics(body.verify_responses, self.compute_metrics, self.get_key_metrics)


def compute_pass_majority_metrics(
    tasks: Tasks, score_fn: ScoreFunction | None = None, answer_key: str | None = None
) -> tuple[dict[str, Any], ScoreDicts, list[str], int]:
    """See `nemo_gym.stats.passes`; without tasks there are no metrics."""
    metrics, scores, names, max_k = _compute_pass_majority_metrics(tasks, score_fn, answer_key)
    return metrics if tasks else {}, scores, names, max_k


def compute_aggregate_metrics(
    verify_responses: list[Row],
    compute_metrics_fn: Callable[[Tasks], dict[str, Any]] | None = None,
    get_key_metrics_fn: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> AggregateMetrics:
    """Statistics of every numeric field and of usage, over all rows and for each task, and the hooks'
    metrics."""
    if not verify_responses:
        return AggregateMetrics()
    tasks = _by_task(verify_responses)
    accumulator = MetricsAccumulator()
    ref = verify_responses[0].get(keys.AGENT_REF) or {"name": "agent"}
    for row in verify_responses:
        accumulator.add({**row, keys.ROLLOUT_INDEX: _rollout_index(row), keys.AGENT_REF: ref})
    groups = {group[keys.TASK_INDEX]: group for group in accumulator.groups()}
    metrics: dict[str, Any] = {}
    for statistics in accumulator.statistics().values():
        metrics |= statistics
    if compute_metrics_fn is not None:
        own = dict(compute_metrics_fn(tasks))
        for extra in own.pop(PER_TASK, ()):
            groups[extra[keys.TASK_INDEX]] |= extra
        metrics |= own
    return AggregateMetrics(
        group_level_metrics=list(groups.values()),
        agent_metrics=metrics,
        key_metrics=(get_key_metrics_fn or mean_metrics)(metrics),
    )


def _by_task(rows: Iterable[Row]) -> Tasks:
    tasks: dict[int, list[Row]] = {}
    for row in rows:
        tasks.setdefault(row[keys.TASK_INDEX], []).append(row)
    return [sorted(tasks[index], key=_rollout_index) for index in sorted(tasks)]


def _rollout_index(row: Row) -> int:
    return row.get(keys.ROLLOUT_INDEX) or 0
