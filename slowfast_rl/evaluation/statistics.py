"""Means and ratios over members with 95 % intervals, for paired comparisons."""

from typing import NamedTuple

import numpy as np

from slowfast_rl.members.arrays import Float32, Float64, Int64

Z95 = 1.959963985


class Interval(NamedTuple):
    """An estimate with its 95 % interval (normal approximation, over members)."""

    mean: float
    low: float
    high: float


def mean_interval(values: Float64) -> Interval:
    """Return the mean of one value per member, with its interval.

    Args:
        values: [N]; for a paired comparison, the differences between twins.
    """
    mean = float(values.mean())
    half = Z95 * float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else float("inf")
    return Interval(mean, mean - half, mean + half)


def mean_intervals(values: Float64 | Float32) -> Float64:
    """Return means over members with their intervals.

    Args:
        values: [W, N], one row of N members for each of W means.

    Returns:
        [W, 3]: mean, low and high.
    """
    return np.array([mean_interval(row) for row in values.astype(np.float64)])


def ratio_interval(numerator: Float64, denominator: Float64) -> Interval | None:
    """Return mean(numerator) / mean(denominator) with its interval, by the delta method.

    Args:
        numerator: [N], one value per member.
        denominator: [N] of the same members.

    Returns:
        The ratio; None where the interval of the denominator's mean does not lie above 0, because
        the ratio is then meaningless.
    """
    if mean_interval(denominator).low <= 0:
        return None
    ratio = float(numerator.mean() / denominator.mean())
    residual = mean_interval((numerator - ratio * denominator) / denominator.mean())
    half = residual.high - residual.mean
    return Interval(ratio, ratio - half, ratio + half)


def relative(difference: float, base: Float64) -> float | None:
    """Return a difference as a share of a mean over members.

    Args:
        difference: from the mean.
        base: [N], one value per member.

    Returns:
        The share; None where the interval of the mean does not lie above 0, because the share is
        then meaningless.
    """
    return difference / float(base.mean()) if mean_interval(base).low > 0 else None


def independent_difference(one: Interval, other: Interval) -> Interval:
    """Return the difference between the means of two groups without common members."""
    mean = one.mean - other.mean
    half = float(np.hypot(one.high - one.mean, other.high - other.mean))
    return Interval(mean, mean - half, mean + half)


def quantile_groups(values: Float64 | Float32, count: int) -> Int64:
    """Divide members into groups by quantiles; equal values are in the same group.

    Args:
        values: [N], one per member.
        count: number of groups.

    Returns:
        Each member's group, [N], from 0 for the lowest values to count - 1.
    """
    quantiles = np.quantile(values, np.arange(1, count) / count)
    return np.searchsorted(quantiles, values, side="right")


def ranked_groups(values: Float64 | Float32, count: int) -> Int64:
    """Divide members into groups of equal size by rank; ties are ranked by position.

    Args:
        values: [N], one per member.
        count: number of groups.

    Returns:
        Each member's group, [N], from 0 for the lowest values to count - 1.
    """
    ranks = np.empty(len(values), np.int64)
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    return np.asarray(ranks * count // len(values), np.int64)
