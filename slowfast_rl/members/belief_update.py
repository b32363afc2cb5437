"""Kernels of the belief filter: update posterior tables with one week of logged counts.

The last axis of every table is the grid of fatigue sensitivity, so that loops over it vectorise.
``w`` holds the constants of the assumed world, ``c`` is a channel.
"""

from typing import NamedTuple

import numpy as np

from slowfast_rl.members.arrays import Float32, Integer, UInt8, UInt32
from slowfast_rl.members.compile import driver, kernel
from slowfast_rl.members.constants import Constants
from slowfast_rl.members.numerics import HALF, ONE, exp, log, logistic
from slowfast_rl.members.scratch import BLOCK, float_room, word_room
from slowfast_rl.members.state import DISMISSALS, LAST, OPENS, SENDS, Log

_ZERO = np.float32(0)
_FLOOR = np.float32(1e-30)  # smallest table entry, so that no grid point gets probability 0
_FLOOR_BITS = _FLOOR.view(np.int32)
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


class Workspace(NamedTuple):
    """Arrays for one member's tables of a channel."""

    kept: Float32  # [J] share of the response that fatigue leaves
    annoyance: Float32  # [J] the dismissal's fatigue factor
    table: Float32  # [A J]
    probability: Float32  # [A J]


class Seen(NamedTuple):
    """What was seen of L members in the last week, and follows from it whatever kappa is."""

    row: UInt32  # [L] in the tables
    habit: Float32  # [L] in the middle of the week
    fatigue: Float32  # [L] over all channels
    loss: Float32  # [L] of goodwill, in logarithms per kappa
    days: Float32  # [L] on which no message was opened
    views: Float32  # [L] viewing days among these


class Lanes(NamedTuple):
    """Arrays [L J] of the members and grid points that are updated at once."""

    weights: Float32
    base: Float32
    variance: Float32
    goodwill: Float32
    known: Float32
    tired: Float32
    days: Float32
    views: Float32
    loss: Float32


@kernel
def _scale(table: Float32, row: Float32) -> None:
    """Scale entries [n] to a maximum of 1, raise tiny ones, and copy them to a row [n]."""
    bits = _FLOOR_BITS  # positive numbers are ordered as their bits are, whose maximum vectorises
    for q in range(row.shape[0]):
        entry = np.int32(np.float32(table[q]).view(np.int32))
        bits = entry if entry > bits else bits
    factor = ONE / np.float32(np.int32(bits).view(np.float32))
    for q in range(row.shape[0]):
        value = table[q] * factor
        table[q] = _FLOOR if value < _FLOOR else value
    for q in range(row.shape[0]):
        row[q] = table[q]


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
    table: Float32, probability: Float32, hits: np.float32, misses: np.float32
) -> None:
    """Multiply a table [n] by p^hits (1 - p)^misses, where p is ``probability`` [n], which changes.

    Factors are multiplied one after the other, several in one pass.
    """
    for _ in range(np.int64(hits)):
        for q in range(table.shape[0]):
            table[q] *= probability[q]
    for q in range(table.shape[0]):
        probability[q] = ONE - probability[q]
    left = np.int64(misses)
    while left >= 4:
        for q in range(table.shape[0]):
            p = probability[q]
            table[q] = table[q] * p * p * p * p
        left -= 4
    while left > 0:
        for q in range(table.shape[0]):
            table[q] *= probability[q]
        left -= 1


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
    workspace: Workspace,
    row: Float32,
    habit: np.float32,
    opens: np.float32,
    sends: np.float32,
) -> None:
    """Multiply a row [A J] by the likelihood of a week's opens on channel c."""
    wear = ONE - w.wear * exp(-w.wear_rate * _WEEK * grid.topics / sends)
    lapsed = ONE - w.lapsed_loss * exp(-w.lapsed_rate * habit)
    gain = grid.pick / w.mean_relevance * wear * lapsed
    tap, ceiling = w.tap[c] * habit / grid.slots_in_day, w.response_ceiling
    table, probability, kept = workspace.table, workspace.probability, workspace.kept
    for a in range(grid.trait_score.shape[0]):
        response = grid.responsiveness[c, a] * gain
        first = a * kept.shape[0]
        for j in range(kept.shape[0]):
            probability[np.uint64(first + j)] = response * kept[j]
    for q in range(row.shape[0]):
        probability[q] = _clip_probability(min(ceiling, probability[q]) + tap)
        table[q] = row[q]
    _multiply_likelihood(table, probability, opens, sends - opens)
    _scale(table, row)


@kernel
def _update_from_dismissals(
    w: Constants,
    grid: Grid,
    c: Integer,
    workspace: Workspace,
    row: Float32,
    dismissed: np.float32,
    unopened: np.float32,
) -> None:
    """Multiply a row [A J] by the likelihood of a week's dismissals on channel c."""
    rest = ONE - w.dismissal_base
    table, probability = workspace.table, workspace.probability
    annoyance = workspace.annoyance
    for a in range(grid.trait_score.shape[0]):
        rate = grid.propensity[a] * w.dismissal_rate[c]
        first = a * annoyance.shape[0]
        for j in range(annoyance.shape[0]):
            probability[np.uint64(first + j)] = rate * annoyance[j]
    for q in range(row.shape[0]):
        probability[q] = _clip_probability(ONE - rest * (ONE - min(_MAX_ANNOYANCE, probability[q])))
        table[q] = row[q]
    _multiply_likelihood(table, probability, dismissed, unopened - dismissed)
    _scale(table, row)


@kernel
def _update_from_views(
    w: Constants, grid: Grid, tables: Tables, count: Integer, seen: Seen, lanes: Lanes
) -> None:
    """Update what follows from organic viewing, of several members at once.

    It multiplies the weights of kappa by the likelihood of the views, and updates b given kappa,
    whose posterior is a normal distribution by Laplace's approximation (two Newton steps), and
    goodwill given kappa.

    Args:
        w: the world's constants.
        grid: the grid.
        tables: the beliefs, which change.
        count: L, the number of members.
        seen: what was seen of them.
        lanes: workspace for L J numbers.
    """
    size = grid.sensitivity.shape[0]
    for k in range(count):
        i, first = np.uint64(seen.row[k]), k * size
        known = w.habit_weight * seen.habit[k] + grid.launches - w.goodwill_weight
        tired = w.organic_fatigue_weight * seen.fatigue[k]
        for j in range(size):
            at = np.uint64(first + j)
            lanes.weights[at] = tables.sensitivity[i, j]
            lanes.base[at] = tables.base[i, j]
            lanes.variance[at] = tables.base_variance[i, j]
            lanes.goodwill[at] = tables.goodwill[i, j]
            lanes.known[at] = known
            lanes.tired[at] = tired * grid.sensitivity[j]
            lanes.days[at] = seen.days[k]
            lanes.views[at] = seen.views[k]
            lanes.loss[at] = -grid.sensitivity[j] * seen.loss[k]
    regained = min(ONE, _WEEK * w.goodwill_share)
    for q in range(count * size):
        offset = lanes.known[q] + w.goodwill_weight * lanes.goodwill[q] - lanes.tired[q]
        b, v = lanes.base[q], lanes.variance[q]
        days, views = lanes.days[q], lanes.views[q]
        x = b
        for _ in range(2):
            p = logistic(x + offset)
            x += (views - days * p - (x - b) / v) / (days * p * (ONE - p) + ONE / v)
        p = _clip_probability(logistic(x + offset))
        after = ONE / (days * p * (ONE - p) + ONE / v)
        likelihood = views * log(p) + (days - views) * log(ONE - p) - (x - b) ** 2 / (v + v)
        lanes.weights[q] *= exp(likelihood) * np.sqrt(after / v)
        lanes.base[q], lanes.variance[q] = x, after
        left = lanes.goodwill[q] * exp(lanes.loss[q])
        lanes.goodwill[q] = left + (ONE - left) * regained
    for k in range(count):
        i, first = np.uint64(seen.row[k]), k * size
        _scale(lanes.weights[first : first + size], tables.sensitivity[i])
        for j in range(size):
            at = np.uint64(first + j)
            tables.base[i, j] = lanes.base[at]
            tables.base_variance[i, j] = lanes.variance[at]
            tables.goodwill[i, j] = lanes.goodwill[at]


@driver()
def update(
    tables: Tables,
    grid: Grid,
    w: Constants,
    counts: Log,
    alive: UInt8,
    start: int,
    stop: int,
) -> None:
    """Update the tables with the last completed week of the living members of some rows.

    Args:
        tables: what is believed of the members; changed in place.
        grid: the grid of the tables.
        w: the assumed world's constants.
        counts: the members' logs.
        alive: [N] 0 for churned members, whose tables stay as they are.
        start: the first row.
        stop: the row after the last one.
    """
    size, traits = grid.sensitivity.shape[0], grid.trait_score.shape[0]
    together = max(BLOCK // size, 1)  # members whose views are computed at once
    workspace = Workspace(
        float_room(size), float_room(size), float_room(size * traits), float_room(size * traits)
    )
    seen = Seen(
        word_room(together), float_room(together), float_room(together), float_room(together),
        float_room(together), float_room(together),
    )  # fmt: skip
    room = together * size
    lanes = Lanes(
        float_room(room), float_room(room), float_room(room), float_room(room), float_room(room),
        float_room(room), float_room(room), float_room(room), float_room(room),
    )  # fmt: skip
    count = 0
    for i in range(start, stop):
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
                for j in range(size):
                    felt = grid.sensitivity[j] * effective
                    workspace.kept[j] = exp(-decay * felt)
                    workspace.annoyance[j] = ONE - exp(-felt)
                response = tables.response[i, c].reshape(size * traits)
                _update_from_opens(w, grid, c, workspace, response, habit, opens, sends)
                dismissal = tables.dismissal[i].reshape(size * traits)
                _update_from_dismissals(w, grid, c, workspace, dismissal, dismissed, sends - opens)
        days = _WEEK - min(_WEEK, opened)
        seen.row[count] = i
        seen.habit[count], seen.fatigue[count], seen.loss[count] = habit, total, loss
        seen.days[count], seen.views[count] = days, min(days, max(_ZERO, views - opened))
        count += 1
        if count == together:
            _update_from_views(w, grid, tables, count, seen, lanes)
            count = 0
    _update_from_views(w, grid, tables, count, seen, lanes)
