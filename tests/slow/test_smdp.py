import numpy as np
import pytest
from numpy.testing import assert_allclose

from slowfast_rl.slow import option_target

REWARDS = [1, 0, 2]


def test_a_truncated_option_bootstraps_from_the_value_after_it():
    assert_allclose(option_target(REWARDS, 0.9, 10, terminated=False), 9.91)


def test_a_terminated_option_has_no_value_after_it():
    assert_allclose(option_target(REWARDS, 0.9, 10, terminated=True), 2.62)


def test_a_batch_of_options_is_folded_row_by_row():
    worth = option_target([REWARDS, [0, 0, 0], [1, 1, 1]], 0.9, [10, 10, 0], [True, False, False])
    assert_allclose(worth, [2.62, 7.29, 2.71])


def test_cutting_an_option_in_two_changes_nothing():
    rewards, value = np.array([3.0, -1, 2, 5]), 7
    rest = option_target(rewards[1:], 0.8, value, False)
    assert_allclose(option_target(rewards[:1], 0.8, rest, False), option_target(rewards, 0.8, 7, 0))


def test_a_discount_above_one_is_refused():
    with pytest.raises(ValueError, match=r"discount is 1\.1; allowed is 0 to 1"):
        option_target(REWARDS, 1.1, 0, False)
