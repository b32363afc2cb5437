"""Drivers that simulate one slot of all members, or a whole week of one member after another.

Channels, topics, candidates and schedule are run-time values: a new world needs no compilation.
"""

from typing import Any

import numpy as np
from numba import types

from slowfast_rl.members.arrays import Float32, Float64, Int32, Int64, UInt8
from slowfast_rl.members.compile import driver, kernel
from slowfast_rl.members.numerics import ONE
from slowfast_rl.members.opportunity import (
    GUARD_SIGNATURE,
    PACER_SIGNATURE,
    PLAN_ROWS,
    RANKER_SIGNATURE,
    SIMULATION,
    TOPICS,
    WEIGHTS,
    considered,
    draw_candidates,
    opportunity_at,
)
from slowfast_rl.members.state import (
    EVENTS_TYPE,
    LAST,
    LAST_SENT,
    NEVER,
    THIS,
    TOPIC_LAST_SENT,
    VETOED,
    Events,
    SimulationState,
)
from slowfast_rl.members.stepping import (
    ZERO,
    candidate_at,
    enter_slot,
    leave_slot,
    shared_slot,
    skip_week,
    take_slot,
    utility,
)

_INT64S = types.Array(types.int64, 1, "C")


@driver(types.void(SIMULATION, _INT64S))
def begin(simulation: SimulationState, rows: Int64) -> None:
    """Set some rows to Monday 00:00 of week 0; ids, streams and traits must be set before."""
    state, log = simulation.state, simulation.log
    for i in rows:
        state.week[i] = 0
        state.alive[i] = 1
        state.habit[i] = simulation.traits.base_rate[i]
        state.goodwill[i] = 1
        state.viewed[i] = 0
        state.p_day[i] = 0
        state.organic_slot[i] = -1
        log.by_member[i] = 0
        log.by_channel[i] = 0
        log.by_topic[i] = 0
        simulation.ledger[i] = 0
        for c in range(state.fatigue.shape[1]):
            state.fatigue[i, c] = 0
            state.opted_in[i, c] = np.uint8(simulation.traits.opt_in_start[i, c])
            log.by_channel[i, c, LAST_SENT] = -NEVER
        for d in range(log.by_topic.shape[1]):
            log.by_topic[i, d, TOPIC_LAST_SENT] = -NEVER


@driver(types.void(SIMULATION, types.int64, types.Array(types.float64, 1, "C")))
def fill_utility(simulation: SimulationState, window: int, values: Float64) -> None:
    """Fill values [N] with the utility of this week so far (THIS) or of the last week (LAST)."""
    for i in range(values.shape[0]):
        values[i] = utility(simulation, i, window)


@kernel
def _step_member(
    simulation: SimulationState, i: int, s: int, action: int, events: Events, rewards: Float64
) -> None:
    """Simulate slot s of member i."""
    last = s + 1 == simulation.schedule.channel.shape[0]
    if simulation.state.alive[i]:
        before = utility(simulation, i, THIS)
        enter_slot(simulation, i, s)
        topic, quality = np.uint32(0), ZERO
        if action:
            topic, quality = candidate_at(simulation, i, s, action - 1)
        take_slot(simulation, i, s, action, topic, quality, events, i)
        leave_slot(simulation, i, s)
        rewards[i] = utility(simulation, i, LAST if last else THIS) - before
    else:
        rewards[i] = 0
        events.sent[i] = events.opened[i] = events.dismissed[i] = 0
        events.opted_out[i] = events.viewed[i] = 0
        if last:
            skip_week(simulation, i)


@driver(types.void(SIMULATION, _INT64S, _INT64S, EVENTS_TYPE, types.Array(types.float64, 1, "C")))
def step_slot(
    simulation: SimulationState, slots: Int64, actions: Int64, events: Events, rewards: Float64
) -> None:
    """Simulate one slot of each member with one action per member.

    Args:
        simulation: N members.
        slots: [N] the index in the week of each member's slot.
        actions: [N] 0 holds, j sends candidate j.
        events: [N] filled with what happened.
        rewards: [N] filled with the utility that the slot added, in viewing days.
    """
    shared = shared_slot(slots)
    if shared >= 0:  # known before the loop, which is a third faster
        for i in range(actions.shape[0]):
            _step_member(simulation, i, shared, actions[i], events, rewards)
    else:
        for i in range(actions.shape[0]):
            _step_member(simulation, i, slots[i], actions[i], events, rewards)


@driver(
    types.void(
        SIMULATION,
        types.FunctionType(PACER_SIGNATURE),
        types.FunctionType(RANKER_SIGNATURE),
        types.FunctionType(GUARD_SIGNATURE),
        PLAN_ROWS,
        WEIGHTS,
        WEIGHTS,
        TOPICS,
        WEIGHTS,
        EVENTS_TYPE,
    )
)
def run_week(
    simulation: SimulationState,
    pace: Any,
    rank: Any,
    guard: Any,
    plan_rows: Int32,
    pacing: Float32,
    ranking: Float32,
    topics: UInt8,
    qualities: Float32,
    events: Events,
) -> None:
    """Simulate one week, member by member, under a jitted policy and its guard.

    Args:
        simulation: N members at the beginning of a week.
        pace: the pacer, of ``PACER_SIGNATURE``.
        rank: the ranker, of ``RANKER_SIGNATURE``.
        guard: the guard, of ``GUARD_SIGNATURE``.
        plan_rows: [N, Q] integers per member that the pacer and the guard read, such as its plan.
        pacing: [W] the pacer's parameters.
        ranking: [W] the ranker's parameters.
        topics: [K] workspace for the candidates' topics.
        qualities: [K] workspace for the candidates' qualities.
        events: workspace of at least one row.
    """
    for i in range(simulation.state.member.shape[0]):
        if not simulation.state.alive[i]:
            skip_week(simulation, i)
            continue
        for s in range(simulation.schedule.channel.shape[0]):
            opportunity = opportunity_at(simulation, i, s)
            action = 0
            threshold, wanted, of = pace(opportunity, plan_rows, pacing)
            if wanted > 0 and considered(opportunity, wanted, of):
                draw_candidates(opportunity, topics, qualities)
                today = simulation.launches[opportunity.day]
                action, score = rank(opportunity, topics, qualities, simulation.log, today, ranking)
                if score < threshold:
                    action = 0
            if action and not guard(opportunity, plan_rows):
                action = 0
                simulation.ledger[i, VETOED] += ONE
            enter_slot(simulation, i, s)
            sent = max(action - 1, 0)
            take_slot(simulation, i, s, action, topics[sent], qualities[sent], events, 0)
            leave_slot(simulation, i, s)
