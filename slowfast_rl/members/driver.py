"""The scalar drivers: one slot for all members, or one fused week member by member.

Channels, topics, candidates and schedule are run-time values: a new world needs no compilation.
"""

from typing import Any

import numpy as np
from numba import types

from slowfast_rl.members.arrays import Float32, Float64, Int32, Int64, UInt8
from slowfast_rl.members.compile import driver
from slowfast_rl.members.numerics import ONE
from slowfast_rl.members.opportunity import (
    GUARD_SIGNATURE,
    PACER_SIGNATURE,
    RANKER_SIGNATURE,
    ROWS,
    SIMULATION,
    TOPICS,
    WEIGHTS,
    considered,
    draw_candidates,
    opportunity_at,
)
from slowfast_rl.members.state import (
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
    skip_week,
    take_slot,
    utility,
)

_INT64S = types.Array(types.int64, 1, "C")
_EVENTS = types.NamedUniTuple(types.Array(types.uint8, 1, "C"), len(Events._fields), Events)


@driver(types.void(SIMULATION, _INT64S))
def begin(simulation: SimulationState, rows: Int64) -> None:
    """Put some rows at Monday 00:00 of week 0; ids, streams and traits are set already."""
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
    """Fill [N] values with the utility of this week so far or of the last."""
    for i in range(values.shape[0]):
        values[i] = utility(simulation, i, window)


@driver(types.void(SIMULATION, types.int64, _INT64S, _EVENTS, types.Array(types.float64, 1, "C")))
def step_slot(
    simulation: SimulationState, s: int, actions: Int64, events: Events, rewards: Float64
) -> None:
    """Live through slot s with one action per member; rewards are what the slot added."""
    last = s + 1 == simulation.schedule.channel.shape[0]
    for i in range(actions.shape[0]):
        if simulation.state.alive[i]:
            before = utility(simulation, i, THIS)
            enter_slot(simulation, i, s)
            topic, quality = np.uint32(0), ZERO
            if actions[i]:
                topic, quality = candidate_at(simulation, i, s, actions[i] - 1)
            take_slot(simulation, i, s, actions[i], topic, quality, events, i)
            leave_slot(simulation, i, s)
            rewards[i] = utility(simulation, i, LAST if last else THIS) - before
        else:
            rewards[i] = 0
            events.sent[i] = events.opened[i] = events.dismissed[i] = 0
            events.opted_out[i] = events.viewed[i] = 0
            if last:
                skip_week(simulation, i)


@driver(
    types.void(
        SIMULATION,
        types.FunctionType(PACER_SIGNATURE),
        types.FunctionType(RANKER_SIGNATURE),
        types.FunctionType(GUARD_SIGNATURE),
        ROWS,
        WEIGHTS,
        WEIGHTS,
        TOPICS,
        WEIGHTS,
        _EVENTS,
    )
)
def run_week(
    simulation: SimulationState,
    pace: Any,
    rank: Any,
    guard: Any,
    rows: Int32,
    pacing: Float32,
    ranking: Float32,
    topics: UInt8,
    qualities: Float32,
    events: Events,
) -> None:
    """Live through a whole week, member by member, under a jitted policy and its guard."""
    for i in range(simulation.state.member.shape[0]):
        if not simulation.state.alive[i]:
            skip_week(simulation, i)
            continue
        for s in range(simulation.schedule.channel.shape[0]):
            opportunity = opportunity_at(simulation, i, s)
            action = 0
            threshold, wanted, of = pace(opportunity, rows, pacing)
            if wanted > 0 and considered(opportunity, wanted, of):
                draw_candidates(opportunity, topics, qualities)
                today = simulation.launches[opportunity.day]
                action, score = rank(opportunity, topics, qualities, simulation.log, today, ranking)
                if score < threshold:
                    action = 0
            if action and not guard(opportunity, rows):
                action = 0
                simulation.ledger[i, VETOED] += ONE
            enter_slot(simulation, i, s)
            sent = max(action - 1, 0)
            take_slot(simulation, i, s, action, topics[sent], qualities[sent], events, 0)
            leave_slot(simulation, i, s)
