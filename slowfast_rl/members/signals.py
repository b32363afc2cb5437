"""The one table of signals: names, units, bounds, and the kernels that fill them in.

Only what a company logs, at three levels: ``week`` (what a planner sees on Monday), ``slot`` (what
comes on top at a send opportunity) and ``privileged`` (latents, for upper bounds and teachers).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numba import types

from slowfast_rl.members.arrays import Float32, Int32
from slowfast_rl.members.compile import driver
from slowfast_rl.members.dynamics import candidate
from slowfast_rl.members.opportunity import LIVES, ROWS
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import CANDIDATE, lane, philox
from slowfast_rl.members.state import (
    DISMISSALS,
    HEAVY,
    LAST_SENT,
    LIGHT,
    SENDS,
    THIS,
    TOPIC_LAST_SENT,
    TOPIC_OPENS,
    TOPIC_SENDS,
    WINDOWS,
    Lives,
)
from slowfast_rl.members.world import World

_DAYS = 60.0  # days beyond which "long ago" is all that matters
_PRIOR_COUNT, _PRIOR_SENDS = np.float32(1), np.float32(10)  # shrink shares towards 1 in 10
_WINDOW_NAMES = ("this_week", "last_week", "mean_4_weeks", "mean_20_weeks")


@dataclass(frozen=True)
class Feature:
    """One observed number.

    Attributes:
        name: such as "push_opens_last_week".
        unit: what one is.
        low: values are clipped from below here.
        high: values are clipped from above here.
    """

    name: str
    unit: str
    low: float
    high: float


@cache
def week_features(world: World) -> tuple[Feature, ...]:
    """Return what a planner sees on Monday 00:00, F_week features."""
    slots = np.bincount([s.channel for s in world.schedule], minlength=len(world.channels))
    features = [Feature(f"viewing_days_{window}", "days a week", 0, 7) for window in _WINDOW_NAMES]
    features.append(Feature("tenure", "weeks", 0, 520))
    for channel, most in zip(world.channels, slots, strict=True):
        for event in ("sends", "opens", "dismissals"):
            for window in _WINDOW_NAMES:
                features.append(Feature(f"{channel}_{event}_{window}", "a week", 0, float(most)))
        for dose in ("light", "heavy"):
            for event in ("open", "dismissal"):
                name = f"{channel}_{event}_share_after_{dose}_weeks"
                features.append(Feature(name, "per send, shrunk to .1 by ten sends", 0, 1))
        features.append(Feature(f"{channel}_days_since_send", "days", 0, _DAYS))
        features.append(Feature(f"{channel}_opted_in", "0 or 1", 0, 1))
    for topic in range(world.num_topics):
        features += [
            Feature(f"topic_{topic}_sends", "since the start", 0, 2000),
            Feature(f"topic_{topic}_opens", "since the start", 0, 500),
            Feature(f"topic_{topic}_days_since_send", "days", 0, _DAYS),
            Feature(f"topic_{topic}_launch", "launch intensity", 0, 10),
        ]
    return tuple(features)


@cache
def slot_features(world: World) -> tuple[Feature, ...]:
    """Return what comes on top of the week's features at a send opportunity, F_slot features."""
    features = [Feature("weekday", "0 is Monday", 0, 6)]
    features += [Feature(f"slot_is_{c}", "0 or 1", 0, 1) for c in world.channels]
    features.append(Feature("slots_left", "slots of this channel this week", 0, 1000))
    for j in range(1, world.num_candidates + 1):
        features.append(Feature(f"candidate_{j}_quality", "standard deviations", -6, 6))
        features.append(Feature(f"candidate_{j}_launch_flag", "0 or 1", 0, 1))
        features += [
            Feature(f"candidate_{j}_is_topic_{d}", "0 or 1", 0, 1) for d in range(world.num_topics)
        ]
    features.append(Feature("has_plan", "0 or 1", 0, 1))
    features += [Feature(f"{c}_plan_target", "sends this week", 0, 1000) for c in world.channels]
    features += [Feature(f"{c}_plan_left", "sends this week", 0, 1000) for c in world.channels]
    return tuple(features)


def privileged_features(world: World) -> tuple[Feature, ...]:
    """Return the latents: what no company sees."""
    features = [
        Feature("habit", "views per day", 0, 1),
        Feature("goodwill", "share", 0, 1),
        Feature("base_logit", "logits", -20, 20),
        Feature("fatigue_sensitivity", "relative to the mean", 0, 100),
        Feature("dismissal_propensity", "relative to the mean", 0, 100),
    ]
    for channel in world.channels:
        features += [
            Feature(f"{channel}_fatigue", "effective sends", 0, 100),
            Feature(f"{channel}_responsiveness", "per send", 0, 10),
            Feature(f"{channel}_opt_out_frailty", "relative to the mean", 0, 30),
        ]
    features += [
        Feature(f"taste_topic_{d}", "standard deviations", -6, 6) for d in range(world.num_topics)
    ]
    return tuple(features)


@cache
def bounds(features: tuple[Feature, ...]) -> Float32:
    """Return [2, F]: lows and highs."""
    return np.array([[f.low for f in features], [f.high for f in features]], np.float32)


_MATRIX = types.Array(types.float32, 2, "C")


@driver(types.void(LIVES, types.int64, _MATRIX))
def fill_week(lives: Lives, weekday: int, out: Float32) -> None:
    """Fill the first columns of out [N, F] with the week's features as of a weekday."""
    log, state = lives.log, lives.state
    for i in range(out.shape[0]):
        today = state.week[i] * 7 + weekday
        day = np.float32(today)
        k = 0
        for window in range(WINDOWS):
            out[i, k] = log.by_member[i, window]
            k += 1
        out[i, k] = np.float32(state.week[i])
        k += 1
        for c in range(log.by_channel.shape[1]):
            for column in range(SENDS, DISMISSALS + WINDOWS):
                out[i, k] = log.by_channel[i, c, column]
                k += 1
            for dose in (LIGHT, HEAVY):
                sends = log.by_channel[i, c, dose] + _PRIOR_SENDS
                out[i, k] = (log.by_channel[i, c, dose + 1] + _PRIOR_COUNT) / sends
                out[i, k + 1] = (log.by_channel[i, c, dose + 2] + _PRIOR_COUNT) / sends
                k += 2
            out[i, k] = day - log.by_channel[i, c, LAST_SENT]
            out[i, k + 1] = np.float32(state.opted_in[i, c])
            k += 2
        for d in range(log.by_topic.shape[1]):
            out[i, k] = log.by_topic[i, d, TOPIC_SENDS]
            out[i, k + 1] = log.by_topic[i, d, TOPIC_OPENS]
            out[i, k + 2] = day - log.by_topic[i, d, TOPIC_LAST_SENT]
            out[i, k + 3] = lives.launches[today, d]
            k += 4


@driver(types.void(LIVES, types.int64, ROWS, types.int64, types.int64, _MATRIX))
def fill_slot(
    lives: Lives, s: int, targets: Int32, has_plan: int, first: int, out: Float32
) -> None:
    """Fill columns from ``first`` of out [N, F] with the features of slot s.

    ``targets`` [N, C] are the sends planned for this week, read where ``has_plan`` is 1.
    """
    plan, state, w = lives.schedule, lives.state, lives.constants
    channel, weekday = plan.channel[s], plan.weekday[s]
    num_channels, num_topics = lives.log.by_channel.shape[1], lives.log.by_topic.shape[1]
    for i in range(out.shape[0]):
        k = first
        out[i, k] = np.float32(weekday)
        k += 1
        for c in range(num_channels):
            out[i, k] = np.float32(c == channel)
            k += 1
        out[i, k] = np.float32(plan.slots_left[s])
        k += 1
        time = state.week[i] * plan.channel.shape[0] + s
        day = state.week[i] * 7 + weekday
        words = philox(lives.seed, state.stream[i], state.member[i], time, 0, CANDIDATE)
        for j in range(w.num_candidates):
            if j and not j & 3:
                words = philox(
                    lives.seed, state.stream[i], state.member[i], time, j >> 2, CANDIDATE
                )
            topic, quality = candidate(num_topics, lane(words, j & 3))
            out[i, k] = quality
            out[i, k + 1] = np.float32(lives.launches[day, topic] >= w.launch_flag)
            k += 2
            for d in range(num_topics):
                out[i, k] = np.float32(d == topic)
                k += 1
        out[i, k] = np.float32(has_plan)
        k += 1
        for c in range(num_channels):
            sent = lives.log.by_channel[i, c, SENDS + THIS]
            target = np.float32(targets[i, c]) if has_plan else np.float32(0)
            out[i, k] = target
            out[i, k + num_channels] = max(target - sent, np.float32(0))
            k += 1


@driver(types.void(_MATRIX, _MATRIX))
def clip(out: Float32, limits: Float32) -> None:
    """Clip out [N, F] to limits [2, F] in place."""
    for i in range(out.shape[0]):
        for k in range(out.shape[1]):
            value = out[i, k]
            value = limits[0, k] if value < limits[0, k] else value
            out[i, k] = limits[1, k] if value > limits[1, k] else value


def privileged_signals(population: Population) -> Float32:
    """Return the latents, [N, F_privileged]."""
    state, traits = population.lives.state, population.lives.traits
    columns = [
        state.habit, state.goodwill, traits.base_logit, traits.fatigue_sensitivity,
        traits.dismissal_propensity,
    ]  # fmt: skip
    for c in range(len(population.world.channels)):
        columns += [state.fatigue[:, c], traits.responsiveness[:, c], traits.opt_out_frailty[:, c]]
    columns += list(traits.taste.T)
    limits = bounds(privileged_features(population.world))
    return np.clip(np.stack(columns, axis=1), limits[0], limits[1])


def week_signals(population: Population) -> Float32:
    """Return what a planner sees of each member now, [N, F_week], fresh and clipped."""
    features = week_features(population.world)
    out = np.empty((population.num_members, len(features)), np.float32)
    weekday = population.world.schedule[population.slot].weekday if population.slot else 0
    population.keep_calendar()
    fill_week(population.lives, weekday, out)
    clip(out, bounds(features))
    return out


def slot_signals(population: Population, targets: Int32 | None = None) -> Float32:
    """Return what a fast policy sees at this slot, [N, F_week + F_slot], fresh and clipped.

    Args:
        population: the members.
        targets: [N, C] sends of this week's plan, or None without a plan.
    """
    world, n = population.world, population.num_members
    week, features = week_features(world), week_features(world) + slot_features(world)
    out = np.empty((n, len(features)), np.float32)
    population.keep_calendar()
    fill_week(population.lives, world.schedule[population.slot].weekday, out)
    planned = np.zeros((n, len(world.channels)), np.int32) if targets is None else targets
    planned = np.ascontiguousarray(planned, np.int32)
    fill_slot(population.lives, population.slot, planned, targets is not None, len(week), out)
    clip(out, bounds(features))
    return out
