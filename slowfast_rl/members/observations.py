"""Observations: rows of the features of ``members/features.py``, clipped to their bounds.

Each row is filled and then clipped while it is in the processor's cache, because observations take
longer than the simulation itself.
"""

from typing import NamedTuple

import numpy as np
from numba import types

from slowfast_rl.members.arrays import Float32, Int32, Int64, Integer, UInt8
from slowfast_rl.members.candidates import block_workspace, draw_block_candidates
from slowfast_rl.members.compile import driver, entry_point, kernel
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
from slowfast_rl.members.numerics import ONE
from slowfast_rl.members.opportunity import PLAN_ROWS, SIMULATION
from slowfast_rl.members.population import Population
from slowfast_rl.members.scratch import BLOCK, word_lane
from slowfast_rl.members.state import (
    DISMISSALS,
    EW4,
    EW20,
    HEAVY,
    LAST,
    LAST_SENT,
    LIGHT,
    OPENS,
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
from slowfast_rl.members.threads import LEAST_ROWS_OF_A_STEP, for_row_shards
from slowfast_rl.members.vectors import SIXTEEN, copy_sixteen, write_four, write_one
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
_ROW = types.Array(types.float32, 1, "C")
_BYTES = types.Array(types.uint8, 2, "C")
_INT64S = types.Array(types.int64, 1, "C")


@kernel
def write_weekly_features(
    simulation: SimulationState, i: Integer, weekday: Integer, limits: Float32, row: Float32
) -> None:
    """Write member i's weekly features to the first columns of a row [F], clipped to limits.

    Columns are written in the order of memory, four at a time where four belong together.
    """
    log, i = simulation.log, np.uint64(i)
    week = simulation.state.week[i]
    today = np.uint64(week * 7 + weekday)
    day = np.float32(today)
    viewed = log.by_member[i]
    write_four(row, np.uint64(0), viewed[0], viewed[1], viewed[2], viewed[3], limits)
    k = np.uint64(WINDOWS)
    write_one(row, k, np.float32(week), limits)
    k += np.uint64(1)
    for c in range(np.uint64(log.by_channel.shape[1])):
        counts = log.by_channel[i, c]
        for first in (SENDS, OPENS, DISMISSALS):
            write_four(
                row, k, counts[first + THIS], counts[first + LAST], counts[first + EW4],
                counts[first + EW20], limits,
            )  # fmt: skip
            k += np.uint64(WINDOWS)
        light, heavy = counts[LIGHT] + PRIOR_SENDS, counts[HEAVY] + PRIOR_SENDS
        write_four(
            row,
            k,
            (counts[LIGHT + 1] + PRIOR_EVENTS) / light,
            (counts[LIGHT + 2] + PRIOR_EVENTS) / light,
            (counts[HEAVY + 1] + PRIOR_EVENTS) / heavy,
            (counts[HEAVY + 2] + PRIOR_EVENTS) / heavy,
            limits,
        )
        write_one(row, k + np.uint64(4), day - counts[LAST_SENT], limits)
        write_one(row, k + np.uint64(5), np.float32(simulation.state.opted_in[i, c]), limits)
        k += np.uint64(6)
    for d in range(np.uint64(log.by_topic.shape[1])):
        sent = log.by_topic[i, d]
        write_four(
            row, k, sent[TOPIC_SENDS], sent[TOPIC_OPENS], day - sent[TOPIC_LAST_SENT],
            simulation.launches[today, d], limits,
        )  # fmt: skip
        k += np.uint64(_TOPIC_FEATURES)


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


@driver(types.void(SIMULATION, _INT64S, _FLOATS, _FLOATS))
def fill_weekly_features(
    simulation: SimulationState, weekdays: Int64, limits: Float32, out: Float32
) -> None:
    """Fill the first columns of out [N, F] with the weekly features as of weekdays [N]."""
    for i in range(out.shape[0]):
        write_weekly_features(simulation, i, weekdays[i], limits, out[i])


@kernel
def _write_slot_template(
    simulation: SimulationState, s: Integer, limits: Float32, row: Float32
) -> None:
    """Write the features of slot s that all members share to a row [F], and 0 for the others."""
    plan, num_channels = simulation.schedule, simulation.log.by_channel.shape[1]
    k = WINDOWS + 1 + num_channels * _CHANNEL_FEATURES
    k += simulation.log.by_topic.shape[1] * _TOPIC_FEATURES
    for column in range(k, row.shape[0]):
        row[column] = _ZERO
    row[k] = np.float32(plan.weekday[s])
    row[k + 1 + plan.channel[s]] = ONE
    row[k + 1 + num_channels] = np.float32(plan.slots_left[s])
    for column in range(k, limits.shape[1]):
        write_one(row, np.uint64(column), row[column], limits)


@driver(
    types.void(
        SIMULATION, _INT64S, PLAN_ROWS, types.int64, _BYTES, _FLOATS, _ROW, _FLOATS, _FLOATS,
        types.int64, types.int64,
    )
)  # fmt: skip
def fill_opportunity_features(
    simulation: SimulationState,
    slots: Int64,
    targets: Int32,
    has_plan: int,
    topics: UInt8,
    qualities: Float32,
    template: Float32,
    limits: Float32,
    out: Float32,
    start: int,
    stop: int,
) -> None:
    """Fill the first columns of some rows of out [N, F] with weekly features and those of slots.

    Args:
        simulation: N members.
        slots: [N] the slot of the week that each is at.
        targets: [N, C] sends planned for this week, read where ``has_plan`` is 1.
        has_plan: whether plans are used, 0 or 1.
        topics: [K, BLOCK] workspace for the candidates' topics.
        qualities: [K, BLOCK] workspace for the candidates' qualities.
        template: [F] workspace for what members at one slot share, with F of at least 16.
        limits: [2, F] bounds to which values are clipped.
        out: filled.
        start: the first row.
        stop: the row after the last one.
    """
    state, plan, log = simulation.state, simulation.schedule, simulation.log
    num_channels, num_topics = np.uint64(log.by_channel.shape[1]), np.uint64(log.by_topic.shape[1])
    columns, num_candidates = np.uint64(limits.shape[1]), np.uint64(topics.shape[0])
    first = np.uint64(WINDOWS + 1) + num_channels * np.uint64(_CHANNEL_FEATURES)
    first += num_topics * np.uint64(_TOPIC_FEATURES)
    candidates = first + np.uint64(2) + num_channels
    plans = candidates + num_candidates * (np.uint64(2) + num_topics)
    flag = simulation.constants.launch_flag
    member, stream, time = word_lane(), word_lane(), word_lane()
    s = np.int64(-1)
    weekday = np.uint32(0)
    for begin in range(start, stop, BLOCK):
        size = min(BLOCK, stop - begin)
        for k in range(size):
            i = np.uint64(begin + k)
            member[k], stream[k] = state.member[i], state.stream[i]
            time[k] = np.uint32(state.week[i] * plan.channel.shape[0] + slots[i])
        draw_block_candidates(
            simulation.seed, stream, member, time, size, num_topics, topics, qualities
        )
        for j in range(num_candidates):
            low, high = limits[np.uint64(0), candidates], limits[np.uint64(1), candidates]
            of_candidate = qualities[j]
            for k in range(size):
                quality = of_candidate[k]
                quality = low if quality < low else quality
                of_candidate[k] = high if quality > high else quality
        for k in range(size):
            i, lane = np.uint64(begin + k), np.uint64(k)
            row = out[i]
            if slots[i] != s:  # seldom: nearly always all members are at one slot
                s = slots[i]
                weekday = plan.weekday[s]
                _write_slot_template(simulation, s, limits, template)
                template[plans] = np.float32(has_plan)
            column = first
            while column + SIXTEEN < columns:
                copy_sixteen(row, column, template)
                column += SIXTEEN
            copy_sixteen(
                row, columns - SIXTEEN, template
            )  # perhaps over the end of the weekly ones
            write_weekly_features(simulation, i, weekday, limits, row)
            today = simulation.launches[np.uint64(state.week[i] * 7 + weekday)]
            column = candidates
            for j in range(num_candidates):
                topic = np.uint64(topics[j, lane])
                row[column] = qualities[j, lane]
                row[column + np.uint64(1)] = np.float32(today[topic] >= flag)
                row[column + np.uint64(2) + topic] = ONE
                column += np.uint64(2) + num_topics
            if has_plan:
                column = plans + np.uint64(1)
                for c in range(num_channels):
                    target = np.float32(targets[i, c])
                    left = max(target - log.by_channel[i, c, SENDS + THIS], _ZERO)
                    write_one(row, column, target, limits)
                    write_one(row, column + num_channels, left, limits)
                    column += np.uint64(1)


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
        for column in range(limits.shape[1]):
            write_one(row, np.uint64(column), row[column], limits)


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
    has_plan, size = targets is not None, (n, len(world.channels))
    planned = np.zeros((0, 0), np.int32) if targets is None else targets
    if has_plan and planned.shape != size:
        raise ValueError(f"targets have shape {planned.shape}; allowed is {size}")
    planned = np.ascontiguousarray(planned, np.int32)
    simulation, slots = population.simulation, population.slots
    fill = entry_point(fill_opportunity_features)

    def work(start: int, stop: int) -> None:
        topics, qualities = block_workspace(world.num_candidates)
        template = np.empty(limits.shape[1], np.float32)
        fill(
            simulation, slots, planned, has_plan, topics, qualities, template, limits, out, start,
            stop,
        )  # fmt: skip

    for_row_shards(work, n, LEAST_ROWS_OF_A_STEP)
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
