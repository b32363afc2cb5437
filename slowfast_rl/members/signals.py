"""What agents see: the features of ``members/features.py``, filled in and clipped to their bounds.

A row is filled and clipped while it is in the cache: observations cost more than the physics.
"""

import numpy as np
from numba import types

from slowfast_rl.members.arrays import Float32, Int32, Integer, UInt8, UInt32
from slowfast_rl.members.compile import driver, kernel
from slowfast_rl.members.dynamics import candidate
from slowfast_rl.members.features import (
    Feature,
    bounds,
    per_world,
    privileged_features,
    slot_features,
    week_features,
)
from slowfast_rl.members.opportunity import LIVES, ROWS
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import CANDIDATE, philox
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

__all__ = [
    "Feature",
    "bounds",
    "privileged_features",
    "privileged_signals",
    "slot_features",
    "slot_signals",
    "week_features",
    "week_signals",
]

_PRIOR_COUNT, _PRIOR_SENDS = np.float32(1), np.float32(10)  # shrink shares towards 1 in 10
_ZERO = np.float32(0)
_FLOATS = types.Array(types.float32, 2, "C")
_WORDS = types.Array(types.uint32, 2, "C")
_BYTES = types.Array(types.uint8, 2, "C")


@kernel
def put_week(lives: Lives, i: Integer, weekday: Integer, row: Float32) -> Integer:
    """Put member i's week features into the first columns of a row [F]; return how many."""
    log = lives.log
    today = lives.state.week[i] * 7 + weekday
    day = np.float32(today)
    k = 0
    for window in range(WINDOWS):
        row[k] = log.by_member[i, window]
        k += 1
    row[k] = np.float32(lives.state.week[i])
    k += 1
    for c in range(log.by_channel.shape[1]):
        counts = log.by_channel[i, c]
        for column in range(SENDS, DISMISSALS + WINDOWS):
            row[k] = counts[column]
            k += 1
        for dose in (LIGHT, HEAVY):
            sends = counts[dose] + _PRIOR_SENDS
            row[k] = (counts[dose + 1] + _PRIOR_COUNT) / sends
            row[k + 1] = (counts[dose + 2] + _PRIOR_COUNT) / sends
            k += 2
        row[k] = day - counts[LAST_SENT]
        row[k + 1] = np.float32(lives.state.opted_in[i, c])
        k += 2
    for d in range(log.by_topic.shape[1]):
        row[k] = log.by_topic[i, d, TOPIC_SENDS]
        row[k + 1] = log.by_topic[i, d, TOPIC_OPENS]
        row[k + 2] = day - log.by_topic[i, d, TOPIC_LAST_SENT]
        row[k + 3] = lives.launches[today, d]
        k += 4
    return k


@kernel
def clip(row: Float32, limits: Float32) -> None:
    """Clip the first columns of a row [F] to limits [2, <= F]."""
    for k in range(limits.shape[1]):
        value = row[k]
        value = limits[0, k] if value < limits[0, k] else value
        row[k] = limits[1, k] if value > limits[1, k] else value


@driver(types.void(LIVES, types.int64, _FLOATS, _FLOATS))
def fill_week(lives: Lives, weekday: int, limits: Float32, out: Float32) -> None:
    """Fill the first columns of out [N, F] with the week's features as of a weekday."""
    for i in range(out.shape[0]):
        row = out[i]
        put_week(lives, i, weekday, row)
        clip(row, limits)


@driver(types.void(LIVES, types.int64, _WORDS, _BYTES, _FLOATS))
def fill_candidates(lives: Lives, s: int, words: UInt32, topics: UInt8, qualities: Float32) -> None:
    """Fill topics and qualities [K, N] of the candidates at slot s; words [4 ceil(K / 4), N] too.

    Loops over members inside, over candidates outside: so the compiler vectorises them.
    """
    state, slots = lives.state, lives.schedule.channel.shape[0]
    num_topics = lives.log.by_topic.shape[1]
    for block in range(words.shape[0] // 4):
        first = words[4 * block]
        second = words[4 * block + 1]
        third = words[4 * block + 2]
        fourth = words[4 * block + 3]
        for i in range(words.shape[1]):
            time = state.week[i] * slots + s
            first[i], second[i], third[i], fourth[i] = philox(
                lives.seed, state.stream[i], state.member[i], time, block, CANDIDATE
            )
    for j in range(topics.shape[0]):
        for i in range(words.shape[1]):
            topic, quality = candidate(num_topics, words[j, i])
            topics[j, i] = topic
            qualities[j, i] = quality


@driver(types.void(LIVES, types.int64, ROWS, types.int64, _BYTES, _FLOATS, _FLOATS, _FLOATS))
def fill_slot(
    lives: Lives,
    s: int,
    targets: Int32,
    has_plan: int,
    topics: UInt8,
    qualities: Float32,
    limits: Float32,
    out: Float32,
) -> None:
    """Fill the first columns of out [N, F] with the features of the week and of slot s.

    ``targets`` [N, C] are the sends planned for this week, read where ``has_plan`` is 1.
    """
    plan, log = lives.schedule, lives.log
    channel, weekday = plan.channel[s], plan.weekday[s]
    num_channels, num_topics = log.by_channel.shape[1], log.by_topic.shape[1]
    for i in range(out.shape[0]):
        row = out[i]
        k = put_week(lives, i, weekday, row)
        row[k] = np.float32(weekday)
        k += 1
        for c in range(num_channels):
            row[k] = np.float32(c == channel)
            k += 1
        row[k] = np.float32(plan.slots_left[s])
        k += 1
        day = lives.state.week[i] * 7 + weekday
        for j in range(topics.shape[0]):
            topic = topics[j, i]
            row[k] = qualities[j, i]
            row[k + 1] = np.float32(lives.launches[day, topic] >= lives.constants.launch_flag)
            k += 2
            for d in range(num_topics):
                row[k] = np.float32(d == topic)
                k += 1
        row[k] = np.float32(has_plan)
        k += 1
        for c in range(num_channels):
            target = np.float32(targets[i, c]) if has_plan else _ZERO
            row[k] = target
            row[k + num_channels] = max(target - log.by_channel[i, c, SENDS + THIS], _ZERO)
            k += 1
        clip(row, limits)


@driver(types.void(LIVES, types.int64, _FLOATS, _FLOATS))
def fill_privileged(lives: Lives, first: int, limits: Float32, out: Float32) -> None:
    """Fill the columns of out [N, F] from ``first`` on with the latents."""
    state, traits = lives.state, lives.traits
    for i in range(out.shape[0]):
        row = out[i, first:]
        row[0], row[1] = state.habit[i], state.goodwill[i]
        row[2], row[3] = traits.base_logit[i], traits.fatigue_sensitivity[i]
        row[4] = traits.dismissal_propensity[i]
        k = 5
        for c in range(state.fatigue.shape[1]):
            row[k], row[k + 1] = state.fatigue[i, c], traits.responsiveness[i, c]
            row[k + 2] = traits.opt_out_frailty[i, c]
            k += 3
        for d in range(traits.taste.shape[1]):
            row[k + d] = traits.taste[i, d]
        clip(row, limits)


def week_signals(population: Population, *, privileged: bool = False) -> Float32:
    """Return what a planner sees of each member now, [N, F_week], fresh and clipped.

    Args:
        population: the members.
        privileged: append the latents, [N, F_week + F_privileged].
    """
    limits = _week_limits(population.world)
    out = _room(population, limits, privileged)
    weekday = population.world.schedule[population.slot].weekday if population.slot else 0
    fill_week(population.lives, weekday, limits, out)
    return out


def slot_signals(
    population: Population, targets: Int32 | None = None, *, privileged: bool = False
) -> Float32:
    """Return what a fast policy sees at this slot, [N, F_week + F_slot], fresh and clipped.

    Args:
        population: the members.
        targets: [N, C] sends of this week's plan, or None without a plan.
        privileged: append the latents, [N, F_week + F_slot + F_privileged].

    Raises:
        ValueError: targets of another shape.
    """
    world, n = population.world, population.num_members
    limits = _slot_limits(world)
    out = _room(population, limits, privileged)
    words = np.empty((-(-world.num_candidates // 4) * 4, n), np.uint32)
    topics = np.empty((world.num_candidates, n), np.uint8)
    qualities = np.empty((world.num_candidates, n), np.float32)
    fill_candidates(population.lives, population.slot, words, topics, qualities)
    has_plan, size = targets is not None, (n, len(world.channels))
    planned = np.zeros((0, 0), np.int32) if targets is None else targets
    if has_plan and planned.shape != size:
        raise ValueError(f"targets have shape {planned.shape}; allowed is {size}")
    planned = np.ascontiguousarray(planned, np.int32)
    fill_slot(population.lives, population.slot, planned, has_plan, topics, qualities, limits, out)
    return out


def privileged_signals(population: Population) -> Float32:
    """Return the latents, [N, F_privileged], fresh and clipped."""
    limits = _privileged_limits(population.world)
    out = np.empty((population.num_members, limits.shape[1]), np.float32)
    fill_privileged(population.lives, 0, limits, out)
    return out


def _room(population: Population, limits: Float32, privileged: bool) -> Float32:
    """Return an array [N, F] for features with these limits, the latents behind them filled in."""
    population.keep_calendar()
    columns, latents = limits.shape[1], _privileged_limits(population.world)
    width = columns + (latents.shape[1] if privileged else 0)
    out = np.empty((population.num_members, width), np.float32)
    if privileged:
        fill_privileged(population.lives, columns, latents, out)
    return out


@per_world
def _week_limits(world: World) -> Float32:
    return bounds(week_features(world))


@per_world
def _slot_limits(world: World) -> Float32:
    return bounds(week_features(world) + slot_features(world))


@per_world
def _privileged_limits(world: World) -> Float32:
    return bounds(privileged_features(world))
