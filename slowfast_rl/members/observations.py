"""What agents see: the features of ``members/features.py``, filled in and clipped to their bounds.

A row is filled and clipped while it is in the cache: observations cost more than the physics.
"""

from typing import NamedTuple

import numpy as np
from numba import types

from slowfast_rl.members.arrays import Float32, Int32, Integer, UInt8, UInt32
from slowfast_rl.members.compile import driver, kernel
from slowfast_rl.members.dynamics import candidate
from slowfast_rl.members.features import (
    Feature,
    bounds,
    opportunity_features,
    per_world,
    privileged_features,
    weekly_features,
)
from slowfast_rl.members.opportunity import ROWS, SIMULATION
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import CANDIDATE, philox
from slowfast_rl.members.state import (
    DISMISSALS,
    HEAVY,
    LAST_SENT,
    LIGHT,
    OPT_OUTS,
    SENDS,
    THIS,
    TOPIC_LAST_SENT,
    TOPIC_OPENS,
    TOPIC_SENDS,
    WINDOWS,
    Log,
    SimulationState,
)
from slowfast_rl.members.world import World

__all__ = [
    "Feature",
    "bounds",
    "opportunity_features",
    "opportunity_observation",
    "privileged_features",
    "privileged_observation",
    "weekly_features",
    "weekly_observation",
]

_PRIOR_COUNT, _PRIOR_SENDS = np.float32(1), np.float32(10)  # shrink shares towards 1 in 10
_ZERO = np.float32(0)
# Columns of one channel (counts, shares, recency, opt-in) and of one topic among weekly features.
_CHANNEL_FEATURES, _TOPIC_FEATURES = DISMISSALS + WINDOWS + 6, 4
_FLOATS = types.Array(types.float32, 2, "C")
_WORDS = types.Array(types.uint32, 2, "C")
_BYTES = types.Array(types.uint8, 2, "C")


@kernel
def put_week(simulation: SimulationState, i: Integer, weekday: Integer, row: Float32) -> Integer:
    """Put member i's week features into the first columns of a row [F]; return how many."""
    log = simulation.log
    today = simulation.state.week[i] * 7 + weekday
    day = np.float32(today)
    k = 0
    for window in range(WINDOWS):
        row[k] = log.by_member[i, window]
        k += 1
    row[k] = np.float32(simulation.state.week[i])
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
        row[k + 1] = np.float32(simulation.state.opted_in[i, c])
        k += 2
    for d in range(log.by_topic.shape[1]):
        row[k] = log.by_topic[i, d, TOPIC_SENDS]
        row[k + 1] = log.by_topic[i, d, TOPIC_OPENS]
        row[k + 2] = day - log.by_topic[i, d, TOPIC_LAST_SENT]
        row[k + 3] = simulation.launches[today, d]
        k += 4
    return k


class Weekly(NamedTuple):
    """Where :func:`read_weekly` found what the log does not hold, in a row of an observation."""

    week: int  # weeks since the member's episode began, as far as tenure shows it
    opted_in: int  # column of the first channel's opt-in flag
    per_channel: int  # columns from one channel's flag to the next one's
    next: int  # column that follows the weekly features


@kernel
def read_weekly(row: Float32, log: Log, launches: Float32, i: Integer) -> Weekly:
    """Read the weekly features of an observation back into member i's log: undoes ``put_week``.

    Recency needs the weekday, which is the column after the weekly features: it must be one of an
    opportunity's observation. Shares after light and heavy weeks become counts that, among no
    sends at all, are shrunk to the same shares; opt-outs are not observed and stay 0.

    Args:
        row: [F] an observation of ``Messaging-v0``.
        log: [B, ...] filled in row i.
        launches: [B, D] today's launch intensities, filled in row i.
        i: which row of log and launches.
    """
    num_channels, num_topics = log.by_channel.shape[1], log.by_topic.shape[1]
    per_channel = _CHANNEL_FEATURES
    topics = WINDOWS + 1 + num_channels * per_channel
    following = topics + num_topics * _TOPIC_FEATURES
    week = np.int64(row[WINDOWS])
    day = np.float32(week * 7 + np.int64(row[following]))
    for window in range(WINDOWS):
        log.by_member[i, window] = row[window]
    for c in range(num_channels):
        k, counts = WINDOWS + 1 + c * per_channel, log.by_channel[i, c]
        for column in range(SENDS, DISMISSALS + WINDOWS):
            counts[column] = row[k]
            k += 1
        for column in range(OPT_OUTS, OPT_OUTS + WINDOWS):
            counts[column] = _ZERO
        for dose in (LIGHT, HEAVY):
            counts[dose] = _ZERO
            counts[dose + 1] = row[k] * _PRIOR_SENDS - _PRIOR_COUNT
            counts[dose + 2] = row[k + 1] * _PRIOR_SENDS - _PRIOR_COUNT
            k += 2
        counts[LAST_SENT] = day - row[k]
    for d in range(num_topics):
        k = topics + d * _TOPIC_FEATURES
        log.by_topic[i, d, TOPIC_SENDS] = row[k]
        log.by_topic[i, d, TOPIC_OPENS] = row[k + 1]
        log.by_topic[i, d, TOPIC_LAST_SENT] = day - row[k + 2]
        launches[i, d] = row[k + 3]
    return Weekly(int(week), WINDOWS + per_channel, per_channel, following)


@kernel
def read_candidates(
    row: Float32, k: Integer, topics: UInt8, qualities: Float32, num_topics: Integer
) -> None:
    """Read candidates [K] from column k of an observation on: quality, launch flag, topic flags."""
    for j in range(topics.shape[0]):
        qualities[j] = row[k]
        topic = 0
        for d in range(1, num_topics):
            if row[k + 2 + d] > row[k + 2 + topic]:
                topic = d
        topics[j] = topic
        k += 2 + num_topics


@kernel
def clip(row: Float32, limits: Float32) -> None:
    """Clip the first columns of a row [F] to limits [2, <= F]."""
    for k in range(limits.shape[1]):
        value = row[k]
        value = limits[0, k] if value < limits[0, k] else value
        row[k] = limits[1, k] if value > limits[1, k] else value


@driver(types.void(SIMULATION, types.int64, _FLOATS, _FLOATS))
def fill_week(simulation: SimulationState, weekday: int, limits: Float32, out: Float32) -> None:
    """Fill the first columns of out [N, F] with the week's features as of a weekday."""
    for i in range(out.shape[0]):
        row = out[i]
        put_week(simulation, i, weekday, row)
        clip(row, limits)


@driver(types.void(SIMULATION, types.int64, _WORDS, _BYTES, _FLOATS))
def fill_candidates(
    simulation: SimulationState, s: int, words: UInt32, topics: UInt8, qualities: Float32
) -> None:
    """Fill topics and qualities [K, N] of the candidates at slot s; words [4 ceil(K / 4), N] too.

    Loops over members inside, over candidates outside: so the compiler vectorises them.
    """
    state, slots = simulation.state, simulation.schedule.channel.shape[0]
    num_topics = simulation.log.by_topic.shape[1]
    for block in range(words.shape[0] // 4):
        first = words[4 * block]
        second = words[4 * block + 1]
        third = words[4 * block + 2]
        fourth = words[4 * block + 3]
        for i in range(words.shape[1]):
            time = state.week[i] * slots + s
            first[i], second[i], third[i], fourth[i] = philox(
                simulation.seed, state.stream[i], state.member[i], time, block, CANDIDATE
            )
    for j in range(topics.shape[0]):
        for i in range(words.shape[1]):
            topic, quality = candidate(num_topics, words[j, i])
            topics[j, i] = topic
            qualities[j, i] = quality


@driver(types.void(SIMULATION, types.int64, ROWS, types.int64, _BYTES, _FLOATS, _FLOATS, _FLOATS))
def fill_slot(
    simulation: SimulationState,
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
    plan, log = simulation.schedule, simulation.log
    channel, weekday = plan.channel[s], plan.weekday[s]
    num_channels, num_topics = log.by_channel.shape[1], log.by_topic.shape[1]
    for i in range(out.shape[0]):
        row = out[i]
        k = put_week(simulation, i, weekday, row)
        row[k] = np.float32(weekday)
        k += 1
        for c in range(num_channels):
            row[k] = np.float32(c == channel)
            k += 1
        row[k] = np.float32(plan.slots_left[s])
        k += 1
        day = simulation.state.week[i] * 7 + weekday
        for j in range(topics.shape[0]):
            topic = topics[j, i]
            row[k] = qualities[j, i]
            row[k + 1] = np.float32(
                simulation.launches[day, topic] >= simulation.constants.launch_flag
            )
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


@driver(types.void(SIMULATION, types.int64, _FLOATS, _FLOATS))
def fill_privileged(simulation: SimulationState, first: int, limits: Float32, out: Float32) -> None:
    """Fill the columns of out [N, F] from ``first`` on with the latents."""
    state, traits = simulation.state, simulation.traits
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


def weekly_observation(population: Population, *, privileged: bool = False) -> Float32:
    """Return what a planner sees of each member now, [N, F_week], fresh and clipped.

    Args:
        population: the members.
        privileged: append the latents, [N, F_week + F_privileged].
    """
    limits = _week_limits(population.world)
    out = _room(population, limits, privileged)
    weekday = population.world.schedule[population.slot].weekday if population.slot else 0
    fill_week(population.simulation, weekday, limits, out)
    return out


def opportunity_observation(
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
    fill_candidates(population.simulation, population.slot, words, topics, qualities)
    has_plan, size = targets is not None, (n, len(world.channels))
    planned = np.zeros((0, 0), np.int32) if targets is None else targets
    if has_plan and planned.shape != size:
        raise ValueError(f"targets have shape {planned.shape}; allowed is {size}")
    planned = np.ascontiguousarray(planned, np.int32)
    fill_slot(
        population.simulation, population.slot, planned, has_plan, topics, qualities, limits, out
    )
    return out


def privileged_observation(population: Population) -> Float32:
    """Return the latents, [N, F_privileged], fresh and clipped."""
    limits = _privileged_limits(population.world)
    out = np.empty((population.num_members, limits.shape[1]), np.float32)
    fill_privileged(population.simulation, 0, limits, out)
    return out


def _room(population: Population, limits: Float32, privileged: bool) -> Float32:
    """Return an array [N, F] for features with these limits, the latents behind them filled in."""
    population.keep_calendar()
    columns, latents = limits.shape[1], _privileged_limits(population.world)
    width = columns + (latents.shape[1] if privileged else 0)
    out = np.empty((population.num_members, width), np.float32)
    if privileged:
        fill_privileged(population.simulation, columns, latents, out)
    return out


@per_world
def _week_limits(world: World) -> Float32:
    return bounds(weekly_features(world))


@per_world
def _slot_limits(world: World) -> Float32:
    return bounds(weekly_features(world) + opportunity_features(world))


@per_world
def _privileged_limits(world: World) -> Float32:
    return bounds(privileged_features(world))
