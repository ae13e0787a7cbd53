"""The calls of the models that an environment asks, added up over the rows of a run."""

from __future__ import annotations

from typing import Any

from nemo_gym.runs.asked_counts import AskedCount, add_counts, read_asked_counts
from nemo_gym.runs.metrics import MetricsAccumulator, RunSummary

ONE_CALL = {"calls": 1, "failed": 0, "seconds": 0.5, "input_tokens": 7, "output_tokens": 3}


def summary(*columns: dict[str, Any]) -> RunSummary:
    metrics = MetricsAccumulator()
    for number, column in enumerate(columns):
        row = {"_ng_task_index": number, "_ng_rollout_index": 0, "agent_ref": {"name": f"agent {number % 2}"}}
        metrics.add({**row, "reward": 1.0, **column})
    return metrics.summary()


def test_the_calls_of_all_agents_are_added_up_by_model_in_order_of_name() -> None:
    failing = {"calls": 3, "failed": 2, "seconds": 9.0, "input_tokens": 0, "output_tokens": 0}
    both = {"ng_asked_models": {"judge": ONE_CALL, "critic": failing}}
    counts = summary(both, {"ng_asked_models": {"judge": ONE_CALL}}, {}).asked_models
    assert list(counts.items()) == [("critic", AskedCount(3, 2, 0, 0)), ("judge", AskedCount(2, 0, 14, 6))]


def test_a_run_whose_environment_asks_no_model_has_none() -> None:
    assert summary({}).asked_models == {}


def test_what_another_program_wrote_is_no_count() -> None:
    for raw in (
        b"null",
        b"3",
        b'{"judge": 1}',
        b'{"judge": {"calls": -1}}',
        b'{"judge": {"calls": "x"}}',
        b"{",
    ):
        assert read_asked_counts(raw) == {}
    assert read_asked_counts(b'{"judge": {}}') == {"judge": AskedCount()}


def test_names_beyond_the_first_hundred_are_left_out() -> None:
    totals: dict[str, AskedCount] = {}
    add_counts(totals, {f"model {number}": AskedCount(1) for number in range(120)})
    add_counts(totals, {"model 0": AskedCount(1), "model 119": AskedCount(1)})
    assert len(totals) == 100
    assert totals["model 0"].calls == 2
