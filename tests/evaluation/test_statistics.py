import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from slowfast_rl.evaluation import mean_interval, ratio_interval
from slowfast_rl.evaluation.statistics import ranked_groups


def test_an_interval_is_the_mean_and_1_96_standard_errors_to_each_side():
    values = np.array([1.0, 2, 3, 6])
    error = (14 / 3) ** 0.5 / 2  # squares of (-2, -1, 0, 3) sum to 14; 3 degrees of freedom
    interval = mean_interval(values)
    assert_allclose(interval, [3, 3 - 1.959964 * error, 3 + 1.959964 * error], rtol=1e-6)


def test_equal_values_have_an_interval_of_no_width():
    assert mean_interval(np.full(10, 2.5)) == (2.5, 2.5, 2.5)


def test_one_value_says_nothing_of_its_error():
    assert mean_interval(np.array([2.0])) == (2, -np.inf, np.inf)


def test_19_of_20_intervals_hold_the_truth():
    draws = np.random.default_rng(0).gamma(4, 0.5, (4000, 100))
    held = [low <= 2 <= high for _, low, high in map(mean_interval, draws)]
    assert abs(np.mean(held) - 0.95) < 0.015


def test_19_of_20_intervals_of_a_ratio_hold_the_truth():
    generator = np.random.default_rng(1)
    held = []
    for _ in range(3000):
        shared = generator.normal(size=200)
        lead = 1 + shared + generator.normal(size=200)
        gain = 0.6 + shared + generator.normal(size=200)  # paired: they share luck
        interval = ratio_interval(gain, lead)
        held.append(interval is not None and interval.low <= 0.6 <= interval.high)
    assert abs(np.mean(held) - 0.95) < 0.015


def test_a_ratio_of_something_to_itself_is_one_without_doubt():
    values = np.array([1.0, 2, 3, 6])
    assert_allclose(ratio_interval(values, values), [1, 1, 1])


def test_a_ratio_is_that_of_the_means_with_an_error_by_the_delta_method():
    numerator, denominator = np.array([1.0, 3, 2, 4]), np.array([4.0, 6, 4, 6])
    residual = (numerator - 0.5 * denominator) / 5  # (-.2, 0, 0, .2)
    half = 1.959964 * np.sqrt(0.08 / 3) / 2
    assert_allclose(residual, [-0.2, 0, 0, 0.2])
    assert_allclose(
        ratio_interval(numerator, denominator), [0.5, 0.5 - half, 0.5 + half], rtol=1e-6
    )


@pytest.mark.parametrize("denominator", [[-1.0, -2, -3], [1.0, -1, 0], [0.1, 3, -2], [0.0, 0, 0]])
def test_a_ratio_means_nothing_where_the_denominator_may_not_be_above_zero(denominator):
    assert ratio_interval(np.ones(3), np.array(denominator)) is None


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10), st.floats(-5, 5))
def test_intervals_scale_and_shift_with_their_values(seed, scale, shift):
    values = np.random.default_rng(seed).normal(size=20)
    moved = mean_interval(values * scale + shift)
    assert_allclose(moved, np.array(mean_interval(values)) * scale + shift, atol=1e-9)


def test_ranked_groups_are_equally_large_whatever_the_ties():
    groups = ranked_groups(np.array([5.0, 1, 1, 1, 3, 9]), 3)
    assert groups.tolist() == [2, 0, 0, 1, 1, 2]
