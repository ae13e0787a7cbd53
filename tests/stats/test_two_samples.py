import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.stats.two_samples import chi_square_tail, homogeneity, shrunk_means, two_proportions

COUNTS = st.lists(st.integers(0, 50), min_size=3, max_size=3)


@pytest.mark.parametrize(
    ("degrees", "critical"), [(1, 3.8415), (2, 5.9915), (3, 7.8147), (4, 9.4877), (5, 11.0705), (10, 18.307)]
)
def test_the_tail_at_a_tabulated_critical_value_is_five_percent(degrees, critical):
    assert chi_square_tail(critical, degrees) == pytest.approx(0.05, abs=1e-5)


def test_the_tail_of_nothing_is_everything():
    assert chi_square_tail(0.0, 3) == 1.0


def test_a_worked_example_of_two_proportions():
    # 30 of 100 and 45 of 100: p = 0.375, z = 0.15 / sqrt(0.375 * 0.625 * 0.02)
    result = two_proportions((30, 100), (45, 100))

    assert result.statistic == pytest.approx(2.19089, abs=1e-5)
    assert result.p_value == pytest.approx(0.02846, abs=1e-5)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_with_two_categories_chi_square_is_the_square_of_z(hits1, misses1, hits2, misses2):
    z = two_proportions((hits1, hits1 + misses1), (hits2, hits2 + misses2))
    chi = homogeneity([hits1, misses1], [hits2, misses2])

    assert chi.statistic == pytest.approx(z.statistic**2, abs=1e-9)
    assert chi.p_value == pytest.approx(z.p_value, abs=1e-9)


@given(COUNTS, COUNTS)
def test_homogeneity_does_not_depend_on_the_order_of_the_samples(first, second):
    forth, back = homogeneity(first, second), homogeneity(second, first)

    assert (forth is None) == (back is None)
    if forth and back:
        assert forth.statistic == pytest.approx(back.statistic)
        assert 0 <= forth.p_value <= 1


@pytest.mark.parametrize(("first", "second"), [((0, 0), (1, 2)), ((0, 5), (0, 7)), ((5, 5), (7, 7))])
def test_a_test_of_proportions_without_any_difference_to_see_has_no_result(first, second):
    assert two_proportions(first, second) is None


def test_a_category_that_neither_sample_has_counts_for_nothing():
    assert homogeneity([10, 0, 20], [20, 0, 10]) == homogeneity([10, 20], [20, 10])


def test_equal_groups_differ_by_no_more_than_chance():
    assert shrunk_means([[0.0, 1.0, 0.5], [0.5, 0.0, 1.0]]) is None


def test_groups_without_a_spread_at_all_do_not_differ():
    assert shrunk_means([[1.0, 1.0], [1.0, 1.0]]) is None


def test_clearly_different_groups_keep_nearly_all_of_their_difference():
    low, high = shrunk_means([[0.0, 0.1] * 20, [0.9, 1.0] * 20])

    assert low == pytest.approx(0.05, abs=0.01)
    assert high == pytest.approx(0.95, abs=0.01)


def test_a_small_group_moves_further_to_the_mean_than_a_large_one():
    large, small, other = shrunk_means([[0.0, 0.2] * 20, [0.0, 0.2], [0.8, 1.0] * 10])

    assert 0.1 < large < small < other


@given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=8), min_size=2, max_size=5))
def test_shrunk_means_stay_between_the_least_and_the_greatest_mean(groups):
    means = [sum(group) / len(group) for group in groups]

    shrunk = shrunk_means(groups)

    if shrunk is not None:
        assert min(means) - 1e-9 <= min(shrunk)
        assert max(shrunk) <= max(means) + 1e-9
