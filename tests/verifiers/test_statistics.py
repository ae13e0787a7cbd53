"""The statistics, against values from tables and straightforward reference code."""

import math
import statistics
from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.verifiers.statistics import (
    ClusteredMean,
    PassCurves,
    describe,
    majority_curve,
    pass_curve,
    running_deviation,
    t_quantile_975,
)

numbers = st.floats(-1e3, 1e3)
rewards = st.lists(st.tuples(st.integers(0, 5), numbers), max_size=25)
grid = st.integers(-4, 4).map(lambda number: number / 4)


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    [
        (1, 12.7062),
        (2, 4.3027),
        (3, 3.1824),
        (4, 2.7764),
        (9, 2.2622),
        (30, 2.0423),
        (31, 2.0395),
        (120, 1.9799),
    ],
)
def test_t_quantiles_are_those_of_the_table(degrees, quantile):
    assert t_quantile_975(degrees) == pytest.approx(quantile, abs=5e-5)


def test_t_quantiles_fall_towards_the_normal_one():
    quantiles = [t_quantile_975(degrees) for degrees in (*range(1, 60), 10**3, 10**9)]
    assert quantiles == sorted(quantiles, reverse=True)
    assert quantiles[-1] == pytest.approx(1.959963985)


def test_a_clustered_interval_worked_by_hand():
    # Tasks (1, 0), (1, 1), (0, 0): mean 1/2, deviations summed by task 0, 1, -1.
    mean = ClusteredMean()
    for task, reward in [(0, 1.0), (1, 1.0), (2, 0.0), (0, 0.0), (1, 1.0), (2, 0.0)]:
        mean.add(task, reward)
    assert (mean.count, mean.tasks, mean.mean) == (6, 3, 0.5)
    error = math.sqrt(3 / 2 * 2) / 6
    assert mean.standard_error == pytest.approx(error)
    assert mean.half_width == pytest.approx(error * 4.30265, rel=1e-5)
    assert mean.interval == (0.5 - mean.half_width, 0.5 + mean.half_width)


def test_repeating_every_rollout_adds_no_certainty():
    once, thrice = ClusteredMean(), ClusteredMean()
    for task, reward in enumerate([0.0, 1.0, 1.0, 0.25]):
        once.add(task, reward)
        for _ in range(3):
            thrice.add(task, reward)
    assert thrice.half_width == pytest.approx(once.half_width)


def test_too_little_data_gives_no_interval():
    mean = ClusteredMean()
    assert math.isnan(mean.mean)
    assert mean.interval is None
    mean.add(7, 1.0)
    mean.add(7, 0.0)
    assert (mean.mean, mean.half_width) == (0.5, None)


@given(rewards)
def test_the_running_interval_is_that_of_the_whole(data):
    running = ClusteredMean()
    for task, reward in data:
        running.add(task, reward)
    tasks = sorted({task for task, _ in data})
    if len(tasks) < 2:
        assert running.interval is None
        return
    mean = statistics.fmean(reward for _, reward in data)
    sums = [math.fsum(reward - mean for task, reward in data if task == one) for one in tasks]
    scale = len(tasks) / (len(tasks) - 1)
    error = math.sqrt(scale * math.fsum(total * total for total in sums)) / len(data)
    assert running.mean == pytest.approx(mean, abs=1e-9)
    assert running.standard_error == pytest.approx(error, rel=1e-6, abs=1e-4)


@given(
    st.permutations([(task, rollout) for task in range(3) for rollout in range(4)]),
    st.lists(grid, min_size=12, max_size=12),
)
def test_forgetting_finished_tasks_changes_nothing(order, values):
    plain, folding = ClusteredMean(), ClusteredMean(repeats=4)
    for task, rollout in order:
        for mean in (plain, folding):
            mean.add(task, values[task * 4 + rollout])
    assert folding.interval == plain.interval


@given(st.lists(st.sampled_from([0.0, 1.0]), max_size=7))
def test_pass_at_k_of_binary_values_is_the_share_of_draws_with_a_success(values):
    shares = [
        statistics.fmean(any(draw) for draw in combinations(values, k)) for k in range(1, len(values) + 1)
    ]
    assert list(pass_curve(values)) == pytest.approx(shares)


@given(st.lists(grid, min_size=1, max_size=7).filter(lambda values: not set(values) <= {0.0, 1.0}))
def test_pass_at_k_of_other_values_is_the_best_so_far(values):
    assert list(pass_curve(values)) == [max(values[:k]) for k in range(1, len(values) + 1)]


def test_majority_worked_by_hand():
    answers = ["a", "b", "b", None, "a", "a"]
    assert list(majority_curve([1.0, 0.0, 0.0, 0.0, 1.0, 1.0], answers)) == [1.0, 0.5, 0.0, 0.0, 0.5, 1.0]
    assert list(majority_curve([1.0, 1.0], [None, None])) == [0.0, 0.0]


@given(
    st.lists(st.tuples(st.sampled_from([None, "a", "b", "c"]), st.sampled_from([0.0, 0.5, 1.0])), max_size=9)
)
def test_majority_is_the_mean_score_of_the_commonest_pairs(pairs):
    expected = []
    for k in range(1, len(pairs) + 1):
        counts = Counter(pair for pair in pairs[:k] if pair[0] is not None)
        top = [score for (_, score), count in counts.items() if count == max(counts.values())]
        expected.append(statistics.fmean(top) if top else 0.0)
    found = list(majority_curve([score for _, score in pairs], [answer for answer, _ in pairs]))
    assert found == pytest.approx(expected)


@given(st.lists(numbers, max_size=9))
def test_running_deviation_is_that_of_each_prefix(values):
    found = list(running_deviation(values))
    assert all(math.isnan(value) for value in found[:1])
    expected = [statistics.stdev(values[:k]) for k in range(2, len(values) + 1)]
    assert found[1:] == pytest.approx(expected, abs=1e-6)


@given(st.lists(st.none() | numbers, min_size=1, max_size=9))
def test_a_description_agrees_with_the_statistics_module(column):
    known = [value for value in column if value is not None]
    found = describe({"x": [math.nan if value is None else value for value in column]})
    if not known:
        assert found == {}
        return
    assert found.pop("mean/x") == pytest.approx(statistics.fmean(known))
    assert found.pop("median/x") == pytest.approx(statistics.median(known))
    assert (found.pop("min/x"), found.pop("max/x")) == (min(known), max(known))
    if len(known) > 1:
        assert found.pop("std/x") == pytest.approx(statistics.stdev(known), abs=1e-9)
    elif len(column) == 1:
        assert found.pop("std/x") == 0.0
    assert found == {}


def test_a_deviation_that_cannot_be_known_is_left_out_beside_one_that_can():
    found = describe({"x": [1.0, math.nan], "y": [1.0, 2.0]})
    assert "std/x" not in found
    assert "std/y" in found


@given(numbers, st.none() | st.just("a"))
def test_a_task_with_one_value_starts_its_curves_like_any_other(value, answer):
    alone, among = PassCurves(), PassCurves()
    alone.add([value], [answer])
    among.add([value, value], [answer, answer])
    firsts = alone.metrics("x", majority=True)
    assert firsts.items() <= among.metrics("x", majority=True).items()
    assert alone.per_run() == among.per_run()[:1]


def test_curves_over_tasks_of_different_length():
    curves = PassCurves()
    curves.add([1.0, 0.0])
    curves.add([0.0])
    curves.add([0.0, 0.0, 1.0, 0.0])
    metrics = curves.metrics("s")
    assert curves.max_k == 4
    assert metrics["pass@1/s"] == pytest.approx(100 * (0.5 + 0.0 + 0.25) / 3)
    assert metrics["pass@2/s"] == pytest.approx(100 * (1.0 + 0.5) / 2)
    assert metrics["pass@1[avg-of-2]/s"] == pytest.approx(100 * (0.5 + 0.0) / 2)
    assert metrics["pass@1[avg-of-4]/s"] == pytest.approx(25.0)
    assert curves.per_run() == pytest.approx([100 / 3, 0.0, 100.0, 0.0])
