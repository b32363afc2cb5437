"""Paired intervals over members."""

from typing import NamedTuple

import numpy as np

from slowfast_rl.members.arrays import Float32, Float64, Int64

Z95 = 1.959963985


class Interval(NamedTuple):
    """An estimate with its 95 % interval (normal, over members)."""

    mean: float
    low: float
    high: float


def mean_interval(values: Float64) -> Interval:
    """Return the mean of one number per member, [N], with its interval.

    For paired comparisons pass differences: twins share members and luck.
    """
    mean = float(values.mean())
    half = Z95 * float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else float("inf")
    return Interval(mean, mean - half, mean + half)


def ratio_interval(numerator: Float64, denominator: Float64) -> Interval | None:
    """Return mean(numerator) / mean(denominator), [N] each, paired, by the delta method.

    None where the denominator's own interval does not lie above 0: the ratio means nothing then.
    """
    if mean_interval(denominator).low <= 0:
        return None
    ratio = float(numerator.mean() / denominator.mean())
    residual = mean_interval((numerator - ratio * denominator) / denominator.mean())
    half = residual.high - residual.mean
    return Interval(ratio, ratio - half, ratio + half)


def independent_difference(one: Interval, other: Interval) -> Interval:
    """Return the first mean minus the second, of two groups that have no member in common."""
    mean = one.mean - other.mean
    half = float(np.hypot(one.high - one.mean, other.high - other.mean))
    return Interval(mean, mean - half, mean + half)


def ranked_groups(values: Float64 | Float32, count: int) -> Int64:
    """Return each member's group [N], 0 to count - 1: equally many by rank, ties by order."""
    ranks = np.empty(len(values), np.int64)
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    return np.asarray(ranks * count // len(values), np.int64)
