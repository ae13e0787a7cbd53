"""The helpers with which an environment computes its own metrics."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.stats.passes import (
    add_avg_sample_std_dev,
    compute_pass_majority_metrics,
    compute_subset_metrics,
    highest_k_metrics,
)

TASKS = [
    [{"reward": 1.0, "answer": "4"}, {"reward": 0.0, "answer": "5"}, {"reward": 1.0, "answer": "4"}],
    [{"reward": 0.0, "answer": None}, {"reward": 0.0, "answer": "1"}, {"reward": 0.0, "answer": None}],
]


def test_the_example_worked_by_hand():
    metrics, scores, names, max_k = compute_pass_majority_metrics(TASKS, answer_key="answer")
    assert (names, max_k) == (["accuracy", "no_answer"], 3)
    assert scores[1][0] == {"accuracy": 0.0, "no_answer": 1.0}
    assert metrics["pass@1/accuracy"] == pytest.approx(100 * (2 / 3) / 2)
    assert metrics["pass@2/accuracy"] == pytest.approx(50.0)
    assert metrics["pass@1[avg-of-2]/accuracy"] == pytest.approx(25.0)
    assert metrics["majority@2/accuracy"] == pytest.approx(25.0)
    assert metrics["majority@3/accuracy"] == pytest.approx(50.0)
    assert metrics["pass@1[avg-of-3]/no_answer"] == pytest.approx(100 / 3)
    assert metrics["per_sample_aggregate"]["accuracy"] == [50.0, 0.0, 50.0]
    deviation = statistics.stdev([50.0, 0.0, 50.0])
    assert metrics["pass@1[avg-of-3]/accuracy/std_dev_across_runs"] == pytest.approx(deviation)
    assert metrics["pass@1[avg-of-3]/accuracy/std_err_across_runs"] == pytest.approx(deviation / 3**0.5)
    assert "pass@1[avg-of-1]/accuracy/std_dev_across_runs" not in metrics


def test_without_an_answer_key_there_is_no_majority():
    metrics, _, names, _ = compute_pass_majority_metrics(TASKS)
    assert names == ["accuracy"]
    assert not any(name.startswith("majority") for name in metrics)


def test_a_score_may_be_missing_from_some_rollouts():
    tasks = [[{"a": 1.0}, {"b": 0.0}, {"a": 0.0, "b": 1.0}]]
    metrics, _, names, max_k = compute_pass_majority_metrics(tasks, score_fn=lambda row: row)
    assert (names, max_k) == (["a", "b"], 2)
    assert metrics["pass@1[avg-of-2]/a"] == 50.0


def test_no_tasks_give_no_metrics():
    assert compute_pass_majority_metrics([]) == ({"per_sample_aggregate": {}}, [], [], 0)


def test_answers_need_not_be_text():
    tasks = [
        [{"reward": 1.0, "answer": [1, 2]}, {"reward": 1.0, "answer": [1, 2]}, {"reward": 0.0, "answer": 3}]
    ]
    metrics, *_ = compute_pass_majority_metrics(tasks, answer_key="answer")
    assert metrics["majority@3/accuracy"] == 100.0


def test_average_sample_deviation_is_over_tasks_and_not_in_percent():
    metrics, scores, names, max_k = compute_pass_majority_metrics(TASKS)
    add_avg_sample_std_dev(metrics, scores, names, max_k)
    expected = (statistics.stdev([1.0, 0.0, 1.0]) + 0.0) / 2
    assert metrics["pass@1[avg-of-3]/accuracy/avg_sample_std_dev"] == pytest.approx(expected)
    assert "pass@1[avg-of-1]/accuracy/avg_sample_std_dev" not in metrics


def test_subsets_are_prefixed():
    tasks = [[{"reward": 1.0, "level": "hard"}], [{"reward": 0.0, "level": "easy"}], [{"reward": 0.0}], []]
    metrics = compute_subset_metrics(tasks, "level")
    assert metrics["hard/pass@1/accuracy"] == 100.0
    assert metrics["easy/pass@1/accuracy"] == 0.0
    assert {name.split("/")[0] for name in metrics} == {"easy", "hard"}


def test_a_subset_has_numbers_alone():
    metrics = compute_subset_metrics([[{"reward": 1.0, "level": "hard"}] * 3], "level")
    assert all(isinstance(value, float) for value in metrics.values())
    assert not any(name.endswith("per_sample_aggregate") for name in metrics)


def test_the_largest_k_is_picked_and_statistics_are_not():
    metrics, scores, names, max_k = compute_pass_majority_metrics(TASKS, answer_key="answer")
    add_avg_sample_std_dev(metrics, scores, names, max_k)
    assert set(highest_k_metrics(metrics, "pass@{k}")) == {"pass@3/accuracy", "pass@3/no_answer"}
    average = "pass@1[avg-of-{k}]"
    assert set(highest_k_metrics(metrics, average, score_names=["accuracy"])) == {"pass@1[avg-of-3]/accuracy"}
    assert set(highest_k_metrics(metrics, average, exclude_names=["no_answer"])) == {
        "pass@1[avg-of-3]/accuracy"
    }
    assert highest_k_metrics({"pass@9/a": 1.0, "pass@10/a": 2.0}, "pass@{k}") == {"pass@10/a": 2.0}
    assert highest_k_metrics(metrics, "best@{k}") == {}


@given(st.lists(st.lists(st.sampled_from([0.0, 1.0]), min_size=3, max_size=3), min_size=1, max_size=4))
def test_the_curves_are_ordered_as_they_must_be(values):
    tasks = [[{"reward": value} for value in task] for task in values]
    metrics, *_ = compute_pass_majority_metrics(tasks)
    passes = [metrics[f"pass@{k}/accuracy"] for k in (1, 2, 3)]
    assert passes == sorted(passes)
    assert metrics["pass@1/accuracy"] == pytest.approx(metrics["pass@1[avg-of-3]/accuracy"])
