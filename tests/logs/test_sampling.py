"""The rows of a log that a fit uses are drawn without bias, however the log is split."""

from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from slowfast_rl.logs.sampling import RowSample


class Numbers(NamedTuple):
    """Rows of one number."""

    number: np.ndarray


def sampled(members, times, limit, seed=0, batch=1000):
    """The numbers that are kept, where each row's number is its position."""
    kept = RowSample(limit, seed)
    for first in range(0, len(members), batch):
        some = slice(first, first + batch)
        kept.add(members[some], times[some], Numbers(np.arange(len(members))[some]))
    assert kept.seen == len(members)
    return kept.rows().number


def test_the_same_rows_are_kept_in_whatever_batches_and_order_they_come():
    members, times = np.repeat(np.arange(500), 20), np.tile(np.arange(20), 500)
    whole = sampled(members, times, 700, batch=10**6)
    assert len(whole) == 700
    assert_array_equal(sampled(members, times, 700, batch=37), whole)
    shuffled = np.random.default_rng(0).permutation(len(members))
    found = sampled(members[shuffled], times[shuffled], 700, batch=101)
    assert_array_equal(shuffled[found], whole)


def test_rows_are_in_order_of_member_and_time_and_all_are_kept_below_the_limit():
    members, times = np.array([3, 1, 1, 2]), np.array([0, 5, 2, 9])
    assert_array_equal(sampled(members, times, 4, batch=1), [2, 1, 3, 0])


def test_every_row_is_kept_as_often():
    members, times = np.arange(400), np.zeros(400, np.int64)
    counts = np.zeros(400)
    for seed in range(300):
        counts[sampled(members, times, 100, seed, batch=50)] += 1
    assert counts.sum() == 300 * 100
    assert abs(counts[:200].sum() / 15000 - 1) < 0.03
    assert counts.min() > 75 - 6 * 7.5  # standard deviation of a binomial count: 7.5
    assert counts.max() < 75 + 6 * 7.5


def test_a_sample_of_nothing_is_refused_and_one_without_rows_is_none():
    with pytest.raises(ValueError, match="max_rows is 0; allowed is 1 or more"):
        RowSample(0)
    assert RowSample(5).rows() is None
