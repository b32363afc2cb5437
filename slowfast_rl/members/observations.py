"""Observations: rows of the features of ``members/features.py``, clipped to their bounds.

Each row is filled and then clipped while it is in the processor's cache, because observations take
longer than the simulation itself.
"""

from typing import NamedTuple

import numpy as np
from numba import types

from slowfast_rl.members.arrays import Float32, Int32, Int64, Integer, UInt8, UInt32
from slowfast_rl.members.compile import driver, kernel
from slowfast_rl.members.dynamics import candidate
from slowfast_rl.members.features import (
    PRIOR_EVENTS,
    PRIOR_SENDS,
    Feature,
    bounds,
    opportunity_features,
    per_world,
    privileged_features,
    weekly_features,
)
from slowfast_rl.members.opportunity import PLAN_ROWS, SIMULATION
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

_ZERO = np.float32(0)
# WeeklyLayout features per channel (counts, shares, recency, opt-in) and per topic.
_CHANNEL_FEATURES, _TOPIC_FEATURES = DISMISSALS + WINDOWS + 6, 4
_FLOATS = types.Array(types.float32, 2, "C")
_WORDS = types.Array(types.uint32, 2, "C")
_BYTES = types.Array(types.uint8, 2, "C")
_INT64S = types.Array(types.int64, 1, "C")


@kernel
def write_weekly_features(
    simulation: SimulationState, i: Integer, weekday: Integer, row: Float32
) -> Integer:
    """Write member i's weekly features to the first columns of a row [F]; return their number."""
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
            sends = counts[dose] + PRIOR_SENDS
            row[k] = (counts[dose + 1] + PRIOR_EVENTS) / sends
            row[k + 1] = (counts[dose + 2] + PRIOR_EVENTS) / sends
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


class WeeklyLayout(NamedTuple):
    """What :func:`read_weekly` found in an observation and a log does not hold."""

    week: int  # the tenure feature: weeks since the member's episode began, clipped to its bound
    opted_in: int  # column of the first channel's opt-in flag
    per_channel: int  # columns between the flags of two successive channels
    next: int  # first column after the weekly features


@kernel
def read_weekly(row: Float32, log: Log, launches: Float32, i: Integer) -> WeeklyLayout:
    """Reconstruct a log from the weekly features of an observation, the inverse of filling them.

    The weekday, which recency needs, is the column after the weekly features; so the observation
    must be one of an opportunity. Shares after light and heavy weeks become counts that give the
    same shares with 0 sends. Opt-outs are not observed and stay 0.

    Args:
        row: [F] an observation of ``Messaging-v0``.
        log: B members' log; row i is filled.
        launches: [B, D] today's launch intensities; row i is filled.
        i: the row of log and launches.

    Returns:
        The tenure, and where features that a log does not hold are.
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
            counts[dose + 1] = row[k] * PRIOR_SENDS - PRIOR_EVENTS
            counts[dose + 2] = row[k + 1] * PRIOR_SENDS - PRIOR_EVENTS
            k += 2
        counts[LAST_SENT] = day - row[k]
    for d in range(num_topics):
        k = topics + d * _TOPIC_FEATURES
        log.by_topic[i, d, TOPIC_SENDS] = row[k]
        log.by_topic[i, d, TOPIC_OPENS] = row[k + 1]
        log.by_topic[i, d, TOPIC_LAST_SENT] = day - row[k + 2]
        launches[i, d] = row[k + 3]
    return WeeklyLayout(int(week), WINDOWS + per_channel, per_channel, following)


@kernel
def read_candidates(
    row: Float32, k: Integer, topics: UInt8, qualities: Float32, num_topics: Integer
) -> None:
    """Read topics [K] and qualities [K] of the candidates that begin at column k of a row [F]."""
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
    """Clip the first columns of a row [F] to bounds ``limits`` [2, at most F]."""
    for k in range(limits.shape[1]):
        value = row[k]
        value = limits[0, k] if value < limits[0, k] else value
        row[k] = limits[1, k] if value > limits[1, k] else value


@driver(types.void(SIMULATION, _INT64S, _FLOATS, _FLOATS))
def fill_weekly_features(
    simulation: SimulationState, weekdays: Int64, limits: Float32, out: Float32
) -> None:
    """Fill the first columns of out [N, F] with the weekly features as of weekdays [N]."""
    for i in range(out.shape[0]):
        row = out[i]
        write_weekly_features(simulation, i, weekdays[i], row)
        clip(row, limits)


@driver(types.void(SIMULATION, _INT64S, _WORDS, _BYTES, _FLOATS))
def fill_candidates(
    simulation: SimulationState, at: Int64, words: UInt32, topics: UInt8, qualities: Float32
) -> None:
    """Draw the candidates at slots ``at`` [N] into topics [K, N] and qualities [K, N].

    ``words`` [4 ceil(K / 4), N] is workspace. The inner loops run over members, so that the
    compiler vectorises them.
    """
    state, slots = simulation.state, simulation.schedule.channel.shape[0]
    num_topics = simulation.log.by_topic.shape[1]
    for block in range(words.shape[0] // 4):
        first = words[4 * block]
        second = words[4 * block + 1]
        third = words[4 * block + 2]
        fourth = words[4 * block + 3]
        for i in range(words.shape[1]):
            time = state.week[i] * slots + at[i]
            first[i], second[i], third[i], fourth[i] = philox(
                simulation.seed, state.stream[i], state.member[i], time, block, CANDIDATE
            )
    for j in range(topics.shape[0]):
        for i in range(words.shape[1]):
            topic, quality = candidate(num_topics, words[j, i])
            topics[j, i] = topic
            qualities[j, i] = quality


@driver(types.void(SIMULATION, _INT64S, PLAN_ROWS, types.int64, _BYTES, _FLOATS, _FLOATS, _FLOATS))
def fill_opportunity_features(
    simulation: SimulationState,
    slots: Int64,
    targets: Int32,
    has_plan: int,
    topics: UInt8,
    qualities: Float32,
    limits: Float32,
    out: Float32,
) -> None:
    """Fill the first columns of out [N, F] with weekly features and those of slots [N].

    ``targets`` [N, C] are the sends planned for this week, read where ``has_plan`` is 1.
    """
    plan, log = simulation.schedule, simulation.log
    num_channels, num_topics = log.by_channel.shape[1], log.by_topic.shape[1]
    s, channel, weekday = slots[0], plan.channel[slots[0]], plan.weekday[slots[0]]
    for i in range(out.shape[0]):
        row = out[i]
        if slots[i] != s:  # seldom: nearly always all members are at one slot
            s = slots[i]
            channel, weekday = plan.channel[s], plan.weekday[s]
        k = write_weekly_features(simulation, i, weekday, row)
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
def fill_privileged_features(
    simulation: SimulationState, first: int, limits: Float32, out: Float32
) -> None:
    """Fill the columns of out [N, F] from ``first`` on with the privileged features."""
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
    """Return a new weekly observation of each member, [N, F_week], clipped to bounds.

    Args:
        population: the members.
        privileged: append the privileged features, [N, F_week + F_privileged].
    """
    limits = _week_limits(population.world)
    out = _empty_observation(population, limits, privileged)
    slots = population.slots
    weekdays = np.where(slots, population.simulation.schedule.weekday[slots], 0).astype(np.int64)
    fill_weekly_features(population.simulation, weekdays, limits, out)
    return out


def opportunity_observation(
    population: Population, targets: Int32 | None = None, *, privileged: bool = False
) -> Float32:
    """Return a new observation of each member's slot, [N, F_week + F_slot], clipped to bounds.

    Args:
        population: the members.
        targets: [N, C] planned sends this week, or None without a plan.
        privileged: append the privileged features, [N, F_week + F_slot + F_privileged].

    Raises:
        ValueError: targets have another shape.
    """
    world, n = population.world, population.num_members
    limits = _slot_limits(world)
    out = _empty_observation(population, limits, privileged)
    words = np.empty((-(-world.num_candidates // 4) * 4, n), np.uint32)
    topics = np.empty((world.num_candidates, n), np.uint8)
    qualities = np.empty((world.num_candidates, n), np.float32)
    fill_candidates(population.simulation, population.slots, words, topics, qualities)
    has_plan, size = targets is not None, (n, len(world.channels))
    planned = np.zeros((0, 0), np.int32) if targets is None else targets
    if has_plan and planned.shape != size:
        raise ValueError(f"targets have shape {planned.shape}; allowed is {size}")
    planned = np.ascontiguousarray(planned, np.int32)
    fill_opportunity_features(
        population.simulation, population.slots, planned, has_plan, topics, qualities, limits, out
    )
    return out


def privileged_observation(population: Population) -> Float32:
    """Return a new observation of hidden state and traits, [N, F_privileged], clipped."""
    limits = _privileged_limits(population.world)
    out = np.empty((population.num_members, limits.shape[1]), np.float32)
    fill_privileged_features(population.simulation, 0, limits, out)
    return out


def _empty_observation(population: Population, limits: Float32, privileged: bool) -> Float32:
    """Return an array [N, F] for features with bounds ``limits``.

    With ``privileged``, the privileged features are appended and filled in.
    """
    population.keep_calendar()
    columns, latents = limits.shape[1], _privileged_limits(population.world)
    width = columns + (latents.shape[1] if privileged else 0)
    out = np.empty((population.num_members, width), np.float32)
    if privileged:
        fill_privileged_features(population.simulation, columns, latents, out)
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
