"""Kernels that turn the belief filter's posterior tables into observed features.

Sums over the grid are computed for several members at once, each in the order of the grid.
"""

import numpy as np

from slowfast_rl.members.arrays import Float32, Float64, Integer
from slowfast_rl.members.belief_update import Grid, Tables
from slowfast_rl.members.compile import driver, kernel
from slowfast_rl.members.constants import Constants
from slowfast_rl.members.numerics import exp, log, logistic
from slowfast_rl.members.scratch import (
    double_lane,
    double_room,
    float_room,
)

_ZERO = np.float32(0)
_TOGETHER = 16  # members whose sums are computed at once


@kernel
def _sum_moments(
    table: Float32, scores: Float32, zeroth: Float32, first: Float32, second: Float32
) -> None:
    """Fill [J] with a table's [A, J] sums over A of 1, of the score and of the score squared."""
    for j in range(zeroth.shape[0]):
        zeroth[j] = first[j] = second[j] = _ZERO
    for a in range(table.shape[0]):
        row, score = table[a], scores[a]
        square = score * score
        for j in range(zeroth.shape[0]):
            zeroth[j] += row[j]
            first[j] += row[j] * score
            second[j] += row[j] * square


@kernel
def _write_moments(
    count: Integer,
    weights: Float64,
    moments: Float32,
    table: Integer,
    rows: Float32,
    column: Integer,
) -> None:
    """Write a trait score's mean and standard deviation to a column of L rows and the next one.

    Args:
        count: L, the number of members.
        weights: [J _TOGETHER] probabilities of the grid of kappa.
        moments: [3 J (C + 1) _TOGETHER] as :func:`fill_belief_features` fills them.
        table: the number of the trait's table.
        rows: [L, F] the members' features.
        column: of the mean.
    """
    mean, square, size = double_lane(), double_lane(), weights.shape[0] // _TOGETHER
    for k in range(count):
        mean[k] = square[k] = 0.0
    for j in range(size):
        first = 3 * (size * table + j)
        for k in range(count):
            share = (
                weights[np.uint64(j * _TOGETHER + k)] / moments[np.uint64((first) * _TOGETHER + k)]
            )
            mean[k] += share * moments[np.uint64((first + 1) * _TOGETHER + k)]
            square[k] += share * moments[np.uint64((first + 2) * _TOGETHER + k)]
    for k in range(count):
        rows[k, column] = mean[k]
        rows[k, column + 1] = np.sqrt(max(square[k] - mean[k] * mean[k], 0.0))


@driver()
def fill_belief_features(
    tables: Tables, grid: Grid, w: Constants, out: Float32, start: int, stop: int
) -> None:
    """Fill some rows of out [N, F] with the features of ``BeliefFilter.features``, not yet clipped.

    Args:
        tables: what is believed of the members.
        grid: the grid of the tables.
        w: the world's constants.
        out: [N, F] output.
        start: the first row.
        stop: the row after the last one.
    """
    num_channels, size = tables.fatigue.shape[1], tables.sensitivity.shape[1]
    zeroth, first, second = float_room(size), float_room(size), float_room(size)
    weight = double_room(size)
    weights = double_room(size * _TOGETHER)
    moments = float_room(3 * size * (num_channels + 1) * _TOGETHER)
    mean, square, kappa = double_lane(), double_lane(), double_lane()
    base, base_square, goodwill = double_lane(), double_lane(), double_lane()
    kept, effective = double_lane(), double_lane()
    for begin in range(start, stop, _TOGETHER):
        count, rows = min(_TOGETHER, stop - begin), out[begin : min(begin + _TOGETHER, stop)]
        for k in range(count):
            i = begin + k
            for j in range(size):
                weight[j] = tables.sensitivity[i, j]
            for c in range(num_channels + 1):
                table = tables.response[i, c] if c < num_channels else tables.dismissal[i]
                _sum_moments(table, grid.trait_score, zeroth, first, second)
                for j in range(size):
                    weight[j] *= zeroth[j]
                for j in range(size):
                    moments[np.uint64((3 * (size * c + j)) * _TOGETHER + k)] = zeroth[j]
                    moments[np.uint64((3 * (size * c + j) + 1) * _TOGETHER + k)] = first[j]
                    moments[np.uint64((3 * (size * c + j) + 2) * _TOGETHER + k)] = second[j]
            for j in range(size):
                weights[np.uint64(j * _TOGETHER + k)] = weight[j]
            mean[k] = square[k] = kappa[k] = base[k] = base_square[k] = goodwill[k] = 0.0
            kept[k] = 0.0
        for j in range(size):
            for k in range(count):
                kept[k] += weights[np.uint64(j * _TOGETHER + k)]
        for j in range(size):
            score, sensitivity = grid.score[j], grid.sensitivity[j]
            for k in range(count):
                share = weights[np.uint64(j * _TOGETHER + k)] / kept[k]
                weights[np.uint64(j * _TOGETHER + k)] = share
                mean[k] += share * score
                square[k] += share * score * score
                kappa[k] += share * sensitivity
            for k in range(count):
                i, share = begin + k, weights[np.uint64(j * _TOGETHER + k)]
                b = tables.base[i, j]
                base[k] += share * b
                base_square[k] += share * (b * b + tables.base_variance[i, j])
                goodwill[k] += share * tables.goodwill[i, j]
            for k in range(count):
                rows[k, j] = weights[np.uint64(j * _TOGETHER + k)]
        for k in range(count):
            row = rows[k]
            row[size] = mean[k]
            row[size + 1] = np.sqrt(max(square[k] - mean[k] * mean[k], 0.0))
            row[size + 2] = base[k]
            row[size + 3] = np.sqrt(max(base_square[k] - base[k] * base[k], 0.0))
            row[size + 4] = logistic(np.float32(base[k]))
            row[size + 5] = kappa[k]
            row[size + 6] = log(np.float32(kappa[k]))
            row[size + 7] = goodwill[k]
            row[size + 8] = tables.habit[begin + k]
        _write_moments(count, weights, moments, num_channels, rows, size + 9)
        for c in range(num_channels):
            column = size + 11 + 6 * c
            _write_moments(count, weights, moments, c, rows, column)
            for k in range(count):
                fatigue = _ZERO
                for other in range(num_channels):
                    fatigue += tables.fatigue[begin + k, other]
                own = tables.fatigue[begin + k, c]
                effective[k] = own + w.cross_channel * (fatigue - own)
                kept[k] = 0.0
                rows[k, column + 2] = own
                rows[k, column + 3] = np.float32(kappa[k]) * own
                rows[k, column + 4] = log(np.float32(kappa[k])) * own
            decay = w.response_decay[c]
            for j in range(size):
                sensitivity = grid.sensitivity[j]
                for k in range(count):
                    felt = np.float32(effective[k])
                    kept[k] += weights[np.uint64(j * _TOGETHER + k)] * exp(
                        -decay * sensitivity * felt
                    )
            for k in range(count):
                rows[k, column + 5] = kept[k]
