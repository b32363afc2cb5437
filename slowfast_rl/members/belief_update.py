"""The belief filter's kernels: one week of counts in, posterior tables out.

Tables share the grid of fatigue sensitivity as their last axis, so that loops over it vectorise.
"""

from typing import NamedTuple

import numpy as np

from slowfast_rl.members.arrays import Float32, Integer, UInt8
from slowfast_rl.members.compile import driver, kernel
from slowfast_rl.members.constants import Constants
from slowfast_rl.members.numerics import HALF, ONE, exp, log, logistic
from slowfast_rl.members.state import DISMISSALS, LAST, OPENS, SENDS, Log

_ZERO = np.float32(0)
_FLOOR = np.float32(1e-30)  # of a table's entry: nothing is ever ruled out
_LEAST, _MOST = np.float32(1e-6), np.float32(0.999)  # probabilities stay inside
_MOST_ANNOYED = np.float32(0.97)
_WEEK = np.float32(7)


class Grid(NamedTuple):
    """What the filter assumes of a world, besides its constants: J sensitivities, A traits."""

    sensitivity: Float32  # [J] kappa
    score: Float32  # [J] ln kappa, standardised
    responsiveness: Float32  # [C, A] A_c
    propensity: Float32  # [A] psi
    trait_score: Float32  # [A] the two traits' standard normal
    pick: np.float32  # mean relevance of the executor's pick
    topics: np.float32  # D
    habit_kept: np.float32  # in a week
    slots_in_day: np.float32  # mean
    launches: np.float32  # logits of the mean launch intensity


class Tables(NamedTuple):
    """What is believed of N members; weights are relative."""

    sensitivity: Float32  # [N, J] weights of kappa by viewing, prior included
    response: Float32  # [N, C, A, J] weights of A_c and kappa by opens
    dismissal: Float32  # [N, A, J] weights of psi and kappa by dismissals
    base: Float32  # [N, J] mean of b given kappa
    base_variance: Float32  # [N, J]
    goodwill: Float32  # [N, J] G given kappa
    habit: Float32  # [N] H
    fatigue: Float32  # [N, C] F


@kernel
def _scale(table: Float32, room: Float32) -> None:
    """Scale a table [A, J] to a maximum of 1, and floor it; room is [J]."""
    for j in range(room.shape[0]):
        room[j] = _FLOOR
    for a in range(table.shape[0]):
        row = table[a]
        for j in range(room.shape[0]):
            room[j] = row[j] if row[j] > room[j] else room[j]
    most = _FLOOR
    for j in range(room.shape[0]):
        most = room[j] if room[j] > most else most
    factor = ONE / most
    for a in range(table.shape[0]):
        row = table[a]
        for j in range(room.shape[0]):
            value = row[j] * factor
            row[j] = _FLOOR if value < _FLOOR else value


@kernel
def _inside(p: np.float32) -> np.float32:
    p = _LEAST if p < _LEAST else p
    return _MOST if p > _MOST else p


@kernel
def _week_of_fatigue(
    w: Constants, g: Grid, c: Integer, fatigue: np.float32, opened: np.float32, sends: np.float32
) -> tuple[np.float32, np.float32]:
    """Return a week's mean fatigue and that at its end, sends spread evenly over its days."""
    daily = (sends - opened + w.opened_fatigue * opened) * (ONE - w.relevance_relief * g.pick)
    daily = daily / _WEEK
    mean = _ZERO
    for _ in range(7):
        mean += fatigue + HALF * daily
        fatigue = min((fatigue + daily) * w.fatigue_kept[c], w.fatigue_ceiling)
    return mean / _WEEK, fatigue


@kernel
def _weigh(row: Float32, chance: Float32, hits: np.float32, misses: np.float32) -> None:
    """Weigh a row [J] with chance^hits (1 - chance)^misses: few factors, no logarithms."""
    for _ in range(np.int64(hits)):
        for j in range(row.shape[0]):
            row[j] *= chance[j]
    for _ in range(np.int64(misses)):
        for j in range(row.shape[0]):
            row[j] *= ONE - chance[j]


@kernel
def _counts(channel: Float32) -> tuple[np.float32, np.float32, np.float32]:
    """Return last week's sends, opens and dismissals; what a late log tells beyond sends is cut."""
    sends = channel[SENDS + LAST]
    opens = min(channel[OPENS + LAST], sends)
    return sends, opens, min(channel[DISMISSALS + LAST], sends - opens)


@kernel
def _see_opens(
    w: Constants,
    g: Grid,
    c: Integer,
    table: Float32,
    kept: Float32,
    chance: Float32,
    habit: np.float32,
    opens: np.float32,
    sends: np.float32,
) -> None:
    """Weigh a table [A, J] with the opens of a week's sends on channel c.

    ``kept`` [J] is the share of the response that fatigue leaves; ``chance`` [J] is room.
    """
    wear = ONE - w.wear * exp(-w.wear_rate * _WEEK * g.topics / sends)
    lapsed = ONE - w.lapsed_loss * exp(-w.lapsed_rate * habit)
    gain = g.pick / w.mean_relevance * wear * lapsed
    tap, ceiling = w.tap[c] * habit / g.slots_in_day, w.response_ceiling
    for a in range(table.shape[0]):
        response = g.responsiveness[c, a] * gain
        for j in range(chance.shape[0]):
            chance[j] = _inside(min(ceiling, response * kept[j]) + tap)
        _weigh(table[a], chance, opens, sends - opens)


@kernel
def _see_dismissals(
    w: Constants,
    g: Grid,
    c: Integer,
    table: Float32,
    annoyed: Float32,
    chance: Float32,
    dismissed: np.float32,
    unopened: np.float32,
) -> None:
    """Weigh a table [A, J] with the dismissals among a week's unopened sends on channel c.

    ``annoyed`` [J] is the dismissal's fatigue factor; ``chance`` [J] is room.
    """
    rest = ONE - w.dismissal_base
    for a in range(table.shape[0]):
        rate = g.propensity[a] * w.dismissal_rate[c]
        for j in range(chance.shape[0]):
            chance[j] = _inside(ONE - rest * (ONE - min(_MOST_ANNOYED, rate * annoyed[j])))
        _weigh(table[a], chance, dismissed, unopened - dismissed)


@kernel
def _see_views(
    w: Constants,
    g: Grid,
    t: Tables,
    i: Integer,
    habit: np.float32,
    fatigue: np.float32,
    days: np.float32,
    views: np.float32,
) -> None:
    """Weigh the sensitivities with organic viewing, and update b given each (Laplace)."""
    weights, base, variance = t.sensitivity[i], t.base[i], t.base_variance[i]
    goodwill, goodwill_weight = t.goodwill[i], w.goodwill_weight
    known = w.habit_weight * habit + g.launches - goodwill_weight
    tired = w.organic_fatigue_weight * fatigue
    for j in range(weights.shape[0]):
        offset = known + goodwill_weight * goodwill[j] - tired * g.sensitivity[j]
        b, v = base[j], variance[j]
        x = b
        for _ in range(2):
            p = logistic(x + offset)
            x += (views - days * p - (x - b) / v) / (days * p * (ONE - p) + ONE / v)
        p = _inside(logistic(x + offset))
        after = ONE / (days * p * (ONE - p) + ONE / v)
        likelihood = views * log(p) + (days - views) * log(ONE - p) - (x - b) ** 2 / (v + v)
        weights[j] *= exp(likelihood) * np.sqrt(after / v)
        base[j], variance[j] = x, after


@driver()
def update(t: Tables, g: Grid, w: Constants, counts: Log, alive: UInt8, room: Float32) -> None:
    """Take in the last completed week of every living member; room is [3, J]."""
    kept, annoyed, chance = room[0], room[1], room[2]
    for i in range(t.habit.shape[0]):
        if not alive[i]:
            continue
        views = counts.by_member[i, LAST]
        before = t.habit[i]
        t.habit[i] = g.habit_kept * before + (ONE - g.habit_kept) * views / _WEEK
        habit = HALF * (before + t.habit[i])
        channels = counts.by_channel[i]
        total = opened = loss = _ZERO
        for c in range(channels.shape[0]):
            sends, opens, _ = _counts(channels[c])
            mean, _ = _week_of_fatigue(w, g, c, t.fatigue[i, c], opens, sends)
            total += mean
            opened += opens
            loss += w.goodwill_loss[c] * (sends - opens)
        for c in range(channels.shape[0]):
            sends, opens, dismissed = _counts(channels[c])
            mean, after = _week_of_fatigue(w, g, c, t.fatigue[i, c], opens, sends)
            t.fatigue[i, c] = after
            if sends > _ZERO:
                effective = mean + w.cross_channel * (total - mean)
                decay = w.response_decay[c]
                for j in range(kept.shape[0]):
                    felt = g.sensitivity[j] * effective
                    kept[j] = exp(-decay * felt)
                    annoyed[j] = ONE - exp(-felt)
                _see_opens(w, g, c, t.response[i, c], kept, chance, habit, opens, sends)
                _scale(t.response[i, c], chance)
                unopened = sends - opens
                _see_dismissals(w, g, c, t.dismissal[i], annoyed, chance, dismissed, unopened)
                _scale(t.dismissal[i], chance)
        days = _WEEK - min(_WEEK, opened)
        _see_views(w, g, t, i, habit, total, days, min(days, max(_ZERO, views - opened)))
        _scale(t.sensitivity[i : i + 1], chance)
        goodwill = t.goodwill[i]
        regained = min(ONE, _WEEK * w.goodwill_share)
        for j in range(goodwill.shape[0]):
            left = goodwill[j] * exp(-g.sensitivity[j] * loss)
            goodwill[j] = left + (ONE - left) * regained
