"""The statistics, against values from tables and straightforward reference code."""

import math
import statistics
from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.stats.reward_scale import UNKNOWN_SCALE, RewardScale
from nemo_gym.stats.statistics import (
    ClusteredMean,
    PassCurves,
    SolvedCurves,
    describe,
    majority_curve,
    pass_curve,
    running_deviation,
    t_quantile_975,
    wilson_interval,
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
    assert mean.interval == pytest.approx(wilson_interval(0.5, 3.0, 4.30265), rel=1e-5)


def test_an_interval_of_other_rewards_is_the_clustered_one_cut_to_the_range():
    def interval(*rewards, scale=UNKNOWN_SCALE):
        mean = ClusteredMean(scale=scale)
        for task, reward in enumerate(rewards):
            mean.add(task, reward)
        return mean.interval, mean.mean, mean.half_width

    found, mean, half = interval(0.4, 0.5, 0.6)
    assert found == (mean - half, mean + half)
    found, mean, half = interval(0.9, 1.0, 0.5, 1.0)
    assert half > 1 - mean
    assert found == (mean - half, 1.0)
    found, _, _ = interval(-1.0, 0.5, -1.0, 0.5, scale=RewardScale(-1.0, 1.0, 1.0))
    assert found == (-1.0, 1.0)
    found, mean, half = interval(3.0, 5.0)
    assert found == (mean - half, mean + half), "nobody declared this range"
    assert interval(0.5, 0.5, 0.5)[0] is None


@pytest.mark.parametrize(
    ("scale", "low", "high"),
    [(UNKNOWN_SCALE, 0.0, 0.161125), (RewardScale(-1.0, 1.0, 1.0), -1.0, -0.67775)],
)
def test_twenty_failures_are_not_certainty(scale, low, high):
    mean = ClusteredMean(scale=scale)
    for task in range(20):
        mean.add(task, scale.low)
    assert mean.interval == pytest.approx((low, high), abs=1e-5)


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0.0, 1.0])), min_size=2, max_size=40))
def test_an_interval_of_binary_rewards_is_inside_the_range_and_has_a_width(data):
    mean = ClusteredMean()
    for task, reward in data:
        mean.add(task, reward)
    if mean.tasks < 2:
        assert mean.interval is None
        return
    low, high = mean.interval
    assert 0.0 <= low <= mean.mean <= high <= 1.0
    assert high - low > 0.05


def test_repeats_that_agree_are_worth_no_more_than_their_tasks():
    once, often = ClusteredMean(), ClusteredMean()
    for task in range(10):
        once.add(task, 1.0)
        for _ in range(8):
            often.add(task, 1.0)
    assert often.interval == once.interval == pytest.approx((0.72247, 1.0), abs=1e-5)


@given(
    st.lists(
        st.lists(st.sampled_from([0.0, 0.25, 0.98, 1.0]), min_size=1, max_size=6), min_size=1, max_size=3
    )
)
def test_solved_and_best_at_k_are_those_of_all_draws_whatever_the_order(tasks):
    curves, reversed_curves = SolvedCurves(), SolvedCurves()
    for rewards in tasks:
        curves.add(rewards)
        reversed_curves.add(rewards[::-1])
    assert curves.ks[-1] == max(map(len, tasks))
    for k in curves.ks:
        draws = [list(combinations(rewards, min(k, len(rewards)))) for rewards in tasks]
        best = [statistics.fmean(max(draw) for draw in of_task) for of_task in draws]
        solved = [statistics.fmean(max(draw) == 1.0 for draw in of_task) for of_task in draws]
        assert curves.best(k) == pytest.approx(statistics.fmean(best))
        assert curves.passed(k) == pytest.approx(100 * statistics.fmean(solved))
        assert (reversed_curves.best(k), reversed_curves.passed(k)) == (curves.best(k), curves.passed(k))
        assert curves.tasks_with(k) == sum(len(rewards) >= k for rewards in tasks)
    assert curves.passed(curves.ks[-1]) < 100 or all(1.0 in rewards for rewards in tasks)


def test_solved_is_what_the_scale_says_with_room_for_rounding():
    curves = SolvedCurves(RewardScale(0.0, 3.0, 0.3, declared=True))
    curves.add([0.1 + 0.1 + 0.1 - 1e-16, 0.0])
    curves.add([0.29, 0.0])
    assert curves.passed(2) == 50.0
    assert SolvedCurves().ks == []


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
    plain, folding = ClusteredMean(), ClusteredMean(num_repeats=4)
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


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(0, 400)), min_size=1, max_size=4))
def test_shares_stay_inside_0_to_100_and_never_fall_with_k(tasks):
    curves = SolvedCurves()
    for size, solved in tasks:
        solved = min(size, solved)
        curves.add([1.0] * solved + [0.0] * (size - solved))
    shares = [curves.passed(k) for k in curves.ks]
    assert shares == sorted(shares)
    assert all(0.0 <= share <= 100.0 for share in shares)
    for k, share in zip(curves.ks, shares, strict=True):
        if all(size - min(size, solved) < min(k, size) for size, solved in tasks):
            assert share == 100.0
        if any(solved == 0 for _, solved in tasks):
            assert share < 100.0


@pytest.mark.parametrize("size", [10, 100, 1000, 5000])
def test_a_task_with_one_failure_is_solved_by_any_two_rollouts(size):
    curves = SolvedCurves()
    curves.add([0.0, *[1.0] * (size - 1)])
    assert [curves.passed(k) for k in curves.ks[1:]] == [100.0] * (len(curves.ks) - 1)


def test_a_range_without_ends_has_curves_and_an_interval():
    scale = RewardScale(-math.inf, math.inf, 1.0, declared=True)
    curves, mean = SolvedCurves(scale), ClusteredMean(scale=scale)
    for task, rewards in enumerate([[5.0, -3.0], [0.0, 0.5], [1.0, 2.0]]):
        curves.add(rewards)
        for reward in rewards:
            mean.add(task, reward)
    assert curves.passed(2) == pytest.approx(200 / 3)
    assert mean.interval is not None
    assert mean.interval[0] < mean.mean < mean.interval[1]
