"""The aggregate metrics of rows in memory, for the route `/aggregate_metrics`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from nemo_gym.runs.environment_metrics import MetricHooks, OwnMetrics
from nemo_gym.runs.metrics import MetricsAccumulator
from nemo_gym.wire import keys
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.task import Row, named_agent


def aggregate_rows(
    rows: Iterable[Row], *, answer_key: str | None = None, hooks: MetricHooks | None = None
) -> dict[str, Any]:
    """`group_level_metrics`, `agent_metrics` and `key_metrics` of one agent's rows.

    Rows without a rollout index are numbered in their order. Failures count only in the coverage; where all
    rows are failures, there are no metrics.

    Raises:
        UsageError: a row has no task index.
        GymError: a hook raised.
    """
    metrics = MetricsAccumulator(answer_key=answer_key, own=OwnMetrics(hooks))
    repeats: Counter[int] = Counter()
    failed: Counter[str] = Counter()
    agent: dict[str, Any] | None = None
    for place, row in enumerate(rows):
        task = row.get(keys.TASK_INDEX)
        if type(task) is not int or not 0 <= task < _MAX_INDEX:
            raise UsageError(f"[{place}].{keys.TASK_INDEX}: expected a whole number, 0 or more")
        agent = agent or {"name": named_agent(row) or "agent"}
        index = row.get(keys.ROLLOUT_INDEX)
        rollout = repeats[task] if index is None else index
        repeats[task] += 1
        metrics.add({**row, keys.ROLLOUT_INDEX: rollout, keys.AGENT_REF: agent})
        metrics.plan({keys.TASK_INDEX: task, keys.AGENT_REF: agent})
        if keys.FAILURE_CLASS in row:
            failed[str(row[keys.FAILURE_CLASS])] += 1
    if failed.total() == repeats.total():
        return {"group_level_metrics": [], "agent_metrics": {}, "key_metrics": {}}
    metrics.expect(repeats.total(), failed)
    document = metrics.document()
    return {name: document[0][name] for name in ("group_level_metrics", "agent_metrics", "key_metrics")}


_MAX_INDEX: Final = 1 << 63
