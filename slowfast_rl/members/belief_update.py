"""Kernels of the belief filter: update posterior tables with one week of logged counts.

The last axis of every table is the grid of fatigue sensitivity, so that loops over it vectorise.
``w`` holds the constants of the assumed world, ``c`` is a channel.
"""

from typing import NamedTuple

import numpy as np

from slowfast_rl.members.arrays import Float32, Integer, UInt8
from slowfast_rl.members.compile import driver, kernel
from slowfast_rl.members.constants import Constants
from slowfast_rl.members.numerics import HALF, ONE, exp, log, logistic
from slowfast_rl.members.state import DISMISSALS, LAST, OPENS, SENDS, Log

_ZERO = np.float32(0)
_FLOOR = np.float32(1e-30)  # smallest table entry, so that no grid point gets probability 0
_MIN_PROBABILITY, _MAX_PROBABILITY = np.float32(1e-6), np.float32(0.999)
_MAX_ANNOYANCE = np.float32(0.97)
_WEEK = np.float32(7)


class Grid(NamedTuple):
    """The grids and means that the filter derives from a world: J sensitivities, A trait values."""

    sensitivity: Float32  # [J] kappa
    score: Float32  # [J] ln kappa, standardised to mean 0 and variance 1
    responsiveness: Float32  # [C, A] A_c
    propensity: Float32  # [A] psi
    trait_score: Float32  # [A] standard normal deviate of both traits
    pick: np.float32  # mean relevance of the candidate that the executor sends
    topics: np.float32  # D
    habit_kept: np.float32  # share of habit left after a week
    slots_in_day: np.float32  # mean number of slots per day
    launches: np.float32  # contribution of the mean launch intensity, in logits


class Tables(NamedTuple):
    """The beliefs about N members; weights are unnormalised probabilities."""

    sensitivity: Float32  # [N, J] weights of kappa: prior times the likelihood of viewing
    response: Float32  # [N, C, A, J] weights of A_c and kappa: likelihood of opens
    dismissal: Float32  # [N, A, J] weights of psi and kappa: likelihood of dismissals
    base: Float32  # [N, J] mean of b given kappa
    base_variance: Float32  # [N, J] variance of b given kappa
    goodwill: Float32  # [N, J] G given kappa
    habit: Float32  # [N] H
    fatigue: Float32  # [N, C] F


@kernel
def _scale(table: Float32, scratch: Float32) -> None:
    """Scale a table [A, J] to a maximum of 1 and raise tiny entries; scratch is [J]."""
    for j in range(scratch.shape[0]):
        scratch[j] = _FLOOR
    for a in range(table.shape[0]):
        row = table[a]
        for j in range(scratch.shape[0]):
            scratch[j] = row[j] if row[j] > scratch[j] else scratch[j]
    most = _FLOOR
    for j in range(scratch.shape[0]):
        most = scratch[j] if scratch[j] > most else most
    factor = ONE / most
    for a in range(table.shape[0]):
        row = table[a]
        for j in range(scratch.shape[0]):
            value = row[j] * factor
            row[j] = _FLOOR if value < _FLOOR else value


@kernel
def _clip_probability(p: np.float32) -> np.float32:
    """Return p clipped away from 0 and 1."""
    p = _MIN_PROBABILITY if p < _MIN_PROBABILITY else p
    return _MAX_PROBABILITY if p > _MAX_PROBABILITY else p


@kernel
def _weekly_fatigue(
    w: Constants, grid: Grid, c: Integer, fatigue: np.float32, opened: np.float32, sends: np.float32
) -> tuple[np.float32, np.float32]:
    """Return a week's mean fatigue and its final fatigue, with sends spread evenly over days."""
    daily = (sends - opened + w.opened_fatigue * opened) * (ONE - w.relevance_relief * grid.pick)
    daily = daily / _WEEK
    mean = _ZERO
    for _ in range(7):
        mean += fatigue + HALF * daily
        fatigue = min((fatigue + daily) * w.fatigue_kept[c], w.fatigue_ceiling)
    return mean / _WEEK, fatigue


@kernel
def _multiply_likelihood(
    row: Float32, probability: Float32, hits: np.float32, misses: np.float32
) -> None:
    """Multiply a row [J] by p^hits (1 - p)^misses, where p is ``probability`` [J]."""
    for _ in range(np.int64(hits)):
        for j in range(row.shape[0]):
            row[j] *= probability[j]
    for _ in range(np.int64(misses)):
        for j in range(row.shape[0]):
            row[j] *= ONE - probability[j]


@kernel
def _last_week_counts(channel: Float32) -> tuple[np.float32, np.float32, np.float32]:
    """Return last week's sends, opens and dismissals; opens and dismissals are at most sends."""
    sends = channel[SENDS + LAST]
    opens = min(channel[OPENS + LAST], sends)
    return sends, opens, min(channel[DISMISSALS + LAST], sends - opens)


@kernel
def _update_from_opens(
    w: Constants,
    grid: Grid,
    c: Integer,
    table: Float32,
    kept: Float32,
    probability: Float32,
    habit: np.float32,
    opens: np.float32,
    sends: np.float32,
) -> None:
    """Multiply a table [A, J] by the likelihood of a week's opens on channel c.

    ``kept`` [J] is the share of the response that fatigue leaves; ``probability`` [J] is workspace.
    """
    wear = ONE - w.wear * exp(-w.wear_rate * _WEEK * grid.topics / sends)
    lapsed = ONE - w.lapsed_loss * exp(-w.lapsed_rate * habit)
    gain = grid.pick / w.mean_relevance * wear * lapsed
    tap, ceiling = w.tap[c] * habit / grid.slots_in_day, w.response_ceiling
    for a in range(table.shape[0]):
        response = grid.responsiveness[c, a] * gain
        for j in range(probability.shape[0]):
            probability[j] = _clip_probability(min(ceiling, response * kept[j]) + tap)
        _multiply_likelihood(table[a], probability, opens, sends - opens)


@kernel
def _update_from_dismissals(
    w: Constants,
    grid: Grid,
    c: Integer,
    table: Float32,
    annoyance: Float32,
    probability: Float32,
    dismissed: np.float32,
    unopened: np.float32,
) -> None:
    """Multiply a table [A, J] by the likelihood of a week's dismissals on channel c.

    ``annoyance`` [J] is the dismissal's fatigue factor; ``probability`` [J] is workspace.
    """
    rest = ONE - w.dismissal_base
    for a in range(table.shape[0]):
        rate = grid.propensity[a] * w.dismissal_rate[c]
        for j in range(probability.shape[0]):
            probability[j] = _clip_probability(
                ONE - rest * (ONE - min(_MAX_ANNOYANCE, rate * annoyance[j]))
            )
        _multiply_likelihood(table[a], probability, dismissed, unopened - dismissed)


@kernel
def _update_from_views(
    w: Constants,
    grid: Grid,
    tables: Tables,
    i: Integer,
    habit: np.float32,
    fatigue: np.float32,
    days: np.float32,
    views: np.float32,
) -> None:
    """Multiply the weights of kappa by the likelihood of organic viewing; update b given kappa.

    The posterior of b is a normal distribution by Laplace's approximation: two Newton steps.
    """
    weights, base, variance = tables.sensitivity[i], tables.base[i], tables.base_variance[i]
    goodwill, goodwill_weight = tables.goodwill[i], w.goodwill_weight
    known = w.habit_weight * habit + grid.launches - goodwill_weight
    tired = w.organic_fatigue_weight * fatigue
    for j in range(weights.shape[0]):
        offset = known + goodwill_weight * goodwill[j] - tired * grid.sensitivity[j]
        b, v = base[j], variance[j]
        x = b
        for _ in range(2):
            p = logistic(x + offset)
            x += (views - days * p - (x - b) / v) / (days * p * (ONE - p) + ONE / v)
        p = _clip_probability(logistic(x + offset))
        after = ONE / (days * p * (ONE - p) + ONE / v)
        likelihood = views * log(p) + (days - views) * log(ONE - p) - (x - b) ** 2 / (v + v)
        weights[j] *= exp(likelihood) * np.sqrt(after / v)
        base[j], variance[j] = x, after


@driver()
def update(
    tables: Tables, grid: Grid, w: Constants, counts: Log, alive: UInt8, scratch: Float32
) -> None:
    """Update the tables with the last completed week of every living member.

    Args:
        tables: what is believed of the members; changed in place.
        grid: the grid of the tables.
        w: the assumed world's constants.
        counts: the members' logs.
        alive: [N] 0 for churned members, whose tables stay as they are.
        scratch: [3, J] workspace.
    """
    kept, annoyance, probability = scratch[0], scratch[1], scratch[2]
    for i in range(tables.habit.shape[0]):
        if not alive[i]:
            continue
        views = counts.by_member[i, LAST]
        before = tables.habit[i]
        tables.habit[i] = grid.habit_kept * before + (ONE - grid.habit_kept) * views / _WEEK
        habit = HALF * (before + tables.habit[i])
        channels = counts.by_channel[i]
        total = opened = loss = _ZERO
        for c in range(channels.shape[0]):
            sends, opens, _ = _last_week_counts(channels[c])
            mean, _ = _weekly_fatigue(w, grid, c, tables.fatigue[i, c], opens, sends)
            total += mean
            opened += opens
            loss += w.goodwill_loss[c] * (sends - opens)
        for c in range(channels.shape[0]):
            sends, opens, dismissed = _last_week_counts(channels[c])
            mean, after = _weekly_fatigue(w, grid, c, tables.fatigue[i, c], opens, sends)
            tables.fatigue[i, c] = after
            if sends > _ZERO:
                effective = mean + w.cross_channel * (total - mean)
                decay = w.response_decay[c]
                for j in range(kept.shape[0]):
                    felt = grid.sensitivity[j] * effective
                    kept[j] = exp(-decay * felt)
                    annoyance[j] = ONE - exp(-felt)
                _update_from_opens(
                    w, grid, c, tables.response[i, c], kept, probability, habit, opens, sends
                )
                _scale(tables.response[i, c], probability)
                unopened = sends - opens
                _update_from_dismissals(
                    w, grid, c, tables.dismissal[i], annoyance, probability, dismissed, unopened
                )
                _scale(tables.dismissal[i], probability)
        days = _WEEK - min(_WEEK, opened)
        _update_from_views(
            w, grid, tables, i, habit, total, days, min(days, max(_ZERO, views - opened))
        )
        _scale(tables.sensitivity[i : i + 1], probability)
        goodwill = tables.goodwill[i]
        regained = min(ONE, _WEEK * w.goodwill_share)
        for j in range(goodwill.shape[0]):
            left = goodwill[j] * exp(-grid.sensitivity[j] * loss)
            goodwill[j] = left + (ONE - left) * regained
