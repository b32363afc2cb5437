"""The belief filter's read-out: from posterior tables to signals."""

import numpy as np

from slowfast_rl.members.arrays import Float32, Float64, Integer
from slowfast_rl.members.belief_update import Grid, Tables
from slowfast_rl.members.compile import driver, kernel
from slowfast_rl.members.constants import Constants
from slowfast_rl.members.numerics import exp, log, logistic

_ZERO = np.float32(0)


@kernel
def _add_up(table: Float32, scores: Float32, sums: Float32) -> None:
    """Put a table's [A, J] sums of 1, score and score squared over A into sums [3, J]."""
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
def _moments(weights: Float64, sums: Float32, row: Float32, k: Integer) -> Integer:
    """Put mean and sd of a trait's score into row[k:]; return the next k.

    ``weights`` [J] are those of kappa, adding up to 1; ``sums`` [3, J] as added up.
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
def read_out(
    t: Tables, g: Grid, w: Constants, room: Float32, weights: Float64, out: Float32
) -> None:
    """Fill out [N, F] with the signals of ``BeliefFilter.features``.

    ``room`` [C + 1, 3, J] and ``weights`` [J] are to work in.
    """
    num_channels, size = t.fatigue.shape[1], t.sensitivity.shape[1]
    for i in range(out.shape[0]):
        row, total = out[i], 0.0
        for j in range(size):
            weights[j] = t.sensitivity[i, j]
        for c in range(num_channels + 1):
            table = t.response[i, c] if c < num_channels else t.dismissal[i]
            _add_up(table, g.trait_score, room[c])
            for j in range(size):
                weights[j] *= room[c, 0, j]
        for j in range(size):
            total += weights[j]
        for j in range(size):
            weights[j] /= total
            row[j] = weights[j]
        mean = square = kappa = base = base_square = goodwill = 0.0
        for j in range(size):
            mean += weights[j] * g.score[j]
            square += weights[j] * g.score[j] * g.score[j]
            kappa += weights[j] * g.sensitivity[j]
            base += weights[j] * t.base[i, j]
            base_square += weights[j] * (t.base[i, j] * t.base[i, j] + t.base_variance[i, j])
            goodwill += weights[j] * t.goodwill[i, j]
        row[size], row[size + 1] = mean, np.sqrt(max(square - mean * mean, 0.0))
        row[size + 2], row[size + 3] = base, np.sqrt(max(base_square - base * base, 0.0))
        row[size + 4] = logistic(np.float32(base))
        log_kappa = log(np.float32(kappa))
        row[size + 5], row[size + 6], row[size + 7] = kappa, log_kappa, goodwill
        row[size + 8] = t.habit[i]
        k = _moments(weights, room[num_channels], row, size + 9)
        fatigue = _ZERO
        for c in range(num_channels):
            fatigue += t.fatigue[i, c]
        for c in range(num_channels):
            k = _moments(weights, room[c], row, k)
            own = t.fatigue[i, c]
            effective = own + w.cross_channel * (fatigue - own)
            kept = 0.0
            for j in range(size):
                kept += weights[j] * exp(-w.response_decay[c] * g.sensitivity[j] * effective)
            row[k], row[k + 1], row[k + 2] = own, np.float32(kappa) * own, log_kappa * own
            row[k + 3] = kept
            k += 4
