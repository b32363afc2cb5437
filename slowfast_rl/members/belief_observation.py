"""Kernels that turn the belief filter's posterior tables into observed features."""

import numpy as np

from slowfast_rl.members.arrays import Float32, Float64, Integer
from slowfast_rl.members.belief_update import Grid, Tables
from slowfast_rl.members.compile import driver, kernel
from slowfast_rl.members.constants import Constants
from slowfast_rl.members.numerics import exp, log, logistic

_ZERO = np.float32(0)


@kernel
def _sum_moments(table: Float32, scores: Float32, sums: Float32) -> None:
    """Fill sums [3, J] with a table's [A, J] sums over A of 1, the score and the score squared."""
    for j in range(sums.shape[1]):
        sums[0, j] = sums[1, j] = sums[2, j] = _ZERO
    for a in range(table.shape[0]):
        row, score = table[a], scores[a]
        square = score * score
        for j in range(row.shape[0]):
            sums[0, j] += row[j]
            sums[1, j] += row[j] * score
            sums[2, j] += row[j] * square


@kernel
def _write_moments(weights: Float64, sums: Float32, row: Float32, k: Integer) -> Integer:
    """Write a trait score's mean and standard deviation to row[k] and row[k + 1].

    Args:
        weights: [J] probabilities of the grid of kappa.
        sums: [3, J] as :func:`_sum_moments` fills them.
        row: [F] one member's belief features.
        k: the column of the mean.

    Returns:
        The next column, k + 2.
    """
    mean = square = 0.0
    for j in range(weights.shape[0]):
        share = weights[j] / sums[0, j]
        mean += share * sums[1, j]
        square += share * sums[2, j]
    row[k] = mean
    row[k + 1] = np.sqrt(max(square - mean * mean, 0.0))
    return k + 2


@driver()
def fill_belief_features(
    tables: Tables, grid: Grid, w: Constants, scratch: Float32, weights: Float64, out: Float32
) -> None:
    """Fill out [N, F] with the features of ``BeliefFilter.features``, not yet clipped.

    Args:
        tables: what is believed of the members.
        grid: the grid of the tables.
        w: the world's constants.
        scratch: [C + 1, 3, J] workspace.
        weights: [J] workspace.
        out: [N, F] output.
    """
    num_channels, size = tables.fatigue.shape[1], tables.sensitivity.shape[1]
    for i in range(out.shape[0]):
        row, total = out[i], 0.0
        for j in range(size):
            weights[j] = tables.sensitivity[i, j]
        for c in range(num_channels + 1):
            table = tables.response[i, c] if c < num_channels else tables.dismissal[i]
            _sum_moments(table, grid.trait_score, scratch[c])
            for j in range(size):
                weights[j] *= scratch[c, 0, j]
        for j in range(size):
            total += weights[j]
        for j in range(size):
            weights[j] /= total
            row[j] = weights[j]
        mean = square = kappa = base = base_square = goodwill = 0.0
        for j in range(size):
            mean += weights[j] * grid.score[j]
            square += weights[j] * grid.score[j] * grid.score[j]
            kappa += weights[j] * grid.sensitivity[j]
            base += weights[j] * tables.base[i, j]
            base_square += weights[j] * (
                tables.base[i, j] * tables.base[i, j] + tables.base_variance[i, j]
            )
            goodwill += weights[j] * tables.goodwill[i, j]
        row[size], row[size + 1] = mean, np.sqrt(max(square - mean * mean, 0.0))
        row[size + 2], row[size + 3] = base, np.sqrt(max(base_square - base * base, 0.0))
        row[size + 4] = logistic(np.float32(base))
        log_kappa = log(np.float32(kappa))
        row[size + 5], row[size + 6], row[size + 7] = kappa, log_kappa, goodwill
        row[size + 8] = tables.habit[i]
        k = _write_moments(weights, scratch[num_channels], row, size + 9)
        fatigue = _ZERO
        for c in range(num_channels):
            fatigue += tables.fatigue[i, c]
        for c in range(num_channels):
            k = _write_moments(weights, scratch[c], row, k)
            own = tables.fatigue[i, c]
            effective = own + w.cross_channel * (fatigue - own)
            kept = 0.0
            for j in range(size):
                kept += weights[j] * exp(-w.response_decay[c] * grid.sensitivity[j] * effective)
            row[k], row[k + 1], row[k + 2] = own, np.float32(kappa) * own, log_kappa * own
            row[k + 3] = kept
            k += 4
