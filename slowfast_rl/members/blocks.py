"""The driver that simulates weeks for a block of members at once, slot by slot.

It calls the same equations as ``driver.run_week`` and gives the same bits, several times as fast:
members of a block are next to each other in small arrays, so that the processor computes several
at once, and only those that send take the path of a send. Members of a block may be in different
weeks.
"""

from typing import Any

import numpy as np
from numba import int64, types

from slowfast_rl.members.arrays import Float32, Float64, Int32, Integer, UInt8, UInt32
from slowfast_rl.members.block_policy import (
    GUARD_BLOCK,
    PACER_BLOCK,
    RANKER_BLOCK,
    Opportunities,
    block_form_of,
    guard_each,
    pace_each,
    rank_each,
)
from slowfast_rl.members.block_stepping import (
    Picked,
    Who,
    close_day,
    empty_block,
    end_slot,
    end_week,
    gather,
    load,
    load_sent,
    no_one,
    not_seen,
    open_day,
    resized,
    send_block,
    store,
)
from slowfast_rl.members.candidates import block_workspace, draw_block_candidates
from slowfast_rl.members.compile import driver, entry_point, function_at, kernel, machine_code_of
from slowfast_rl.members.numerics import ONE
from slowfast_rl.members.opportunity import (
    GUARD_SIGNATURE,
    PACER_SIGNATURE,
    PLAN_ROWS,
    RANKER_SIGNATURE,
    SIMULATION,
    WEIGHTS,
    FastPolicy,
)
from slowfast_rl.members.random import PACER, draw, uniform
from slowfast_rl.members.scratch import (
    BLOCK,
    double_lane,
    float_lane,
    float_lanes,
    word_lane,
    word_lanes,
)
from slowfast_rl.members.state import (
    IGNORED,
    VETOED,
    SimulationState,
)
from slowfast_rl.members.stepping import (
    ZERO,
    skip_week,
)
from slowfast_rl.members.threads import for_row_shards

_pacer, _pacer_block = function_at(PACER_SIGNATURE), function_at(PACER_BLOCK)
_ranker, _ranker_block = function_at(RANKER_SIGNATURE), function_at(RANKER_BLOCK)
_guard, _guard_block = function_at(GUARD_SIGNATURE), function_at(GUARD_BLOCK)


@kernel
def _opportunities(simulation: SimulationState, s: Integer, count: int, who: Any) -> Opportunities:
    """Return the opportunities at slot s of members given as ``Who``."""
    plan, w = simulation.schedule, simulation.constants
    return Opportunities(
        int64(count),
        int64(plan.channel[s]),
        int64(plan.slots_left[s]),
        int64(plan.weekday[s]),
        int64(s),
        int64(plan.channel.shape[0]),
        int64(w.num_candidates),
        int64(w.num_topics),
        simulation.seed,
        w.launch_flag,
        who.row,
        who.member,
        who.stream,
        who.week,
        who.sent,
        who.opted_in,
    )


@kernel
def _consider(opportunities: Opportunities, wanted: Float32, of: Float32, who: Who) -> int:
    """Fill in the lanes of members for whom a send is considered, and return their number.

    See ``opportunity.considered``: only members whose probability is below 1 toss a coin.
    """
    tossed = float_lane()
    count = 0
    for k in range(opportunities.size):
        who.lane[count] = k
        count += (wanted[k] > ZERO) & (not wanted[k] >= of[k])
    for k in range(count):
        lane = who.lane[k]
        who.member[k] = opportunities.member[lane]
        who.stream[k] = opportunities.stream[lane]
        who.week[k] = opportunities.week[lane]
    for k in range(count):
        time = int64(who.week[k]) * opportunities.slots_per_week + opportunities.slot
        word = draw(opportunities.seed, who.stream[k], who.member[k], time, 0, PACER)
        tossed[k] = uniform(word)
    for k in range(count):
        lane = who.lane[k]
        if not tossed[k] * of[lane] < wanted[lane]:
            wanted[lane] = ZERO
    count = 0
    for k in range(opportunities.size):
        who.lane[count] = k
        count += wanted[k] > ZERO
    return count


@kernel
def _draw_candidates(opportunities: Opportunities, topics: UInt8, qualities: Float32) -> None:
    """Draw the candidates into topics and qualities [K, L]; see ``opportunity.draw_candidates``."""
    time = word_lane()
    for k in range(opportunities.size):
        start = int64(opportunities.week[k]) * opportunities.slots_per_week
        time[k] = np.uint32(start + opportunities.slot)
    draw_block_candidates(
        opportunities.seed,
        opportunities.stream,
        opportunities.member,
        time,
        opportunities.size,
        opportunities.num_topics,
        topics,
        qualities,
    )


@kernel
def _choose(
    opportunities: Opportunities,
    topics: UInt8,
    qualities: Float32,
    actions: UInt32,
    scores: Float64,
    least: Float64,
    who: Who,
    picked: Picked,
) -> int:
    """Keep the members whose best candidate's score is worth a send, and return their number.

    Args:
        opportunities: those at which a send is considered.
        topics: [K, L] of the candidates.
        qualities: [K, L] of the candidates.
        actions: [L] the best candidates, from 1; 0 for none.
        scores: [L] of the best candidates.
        least: the least scores worth a send, for each member of the block.
        who: the members; those that are kept move to the front.
        picked: filled with the best candidates.
    """
    count = 0
    for k in range(opportunities.size):
        lane = who.lane[k]
        if actions[k] and not scores[k] < least[lane]:
            j = actions[k] - np.uint32(1)
            who.lane[count] = lane
            picked.topic[count] = topics[j, k]
            picked.quality[count] = qualities[j, k]
            count += 1
    return count


@kernel
def _allow(
    simulation: SimulationState, asked: Opportunities, may: UInt32, who: Who, picked: Picked
) -> int:
    """Keep the members that may be sent to and are opted in, and return their number."""
    count = 0
    for k in range(asked.size):
        if not may[k]:
            simulation.ledger[who.row[k], VETOED] += ONE
        elif not who.opted_in[k]:
            simulation.ledger[who.row[k], IGNORED] += ONE
        else:
            who.lane[count] = who.lane[k]
            picked.topic[count] = picked.topic[k]
            picked.quality[count] = picked.quality[k]
            count += 1
    return count


@driver(
    types.void(
        SIMULATION,
        types.UniTuple(types.int64, 6),
        PLAN_ROWS,
        WEIGHTS,
        WEIGHTS,
        types.Array(types.uint8, 2, "C"),
        types.Array(types.float32, 2, "C"),
        types.int64,
        types.int64,
    )
)
def run_week(
    simulation: SimulationState,
    addresses: tuple[int, ...],
    plan_rows: Int32,
    pacing: Float32,
    ranking: Float32,
    topics: UInt8,
    qualities: Float32,
    start: int,
    stop: int,
) -> None:
    """Simulate one week of some rows under a policy and its guard, as ``driver.run_week`` does.

    Args:
        simulation: N members at the beginning of a week.
        addresses: the addresses of the scalar pacer, ranker and guard, then of their block forms.
        plan_rows: [N, Q] integers per member that the pacer and the guard read, such as its plan.
        pacing: [W] the pacer's parameters.
        ranking: [W] the ranker's parameters.
        topics: [K, BLOCK] workspace for the candidates' topics.
        qualities: [K, BLOCK] workspace for the candidates' qualities.
        start: the first row.
        stop: the row after the last one.
    """
    pace, rank = _pacer(addresses[0]), _ranker(addresses[1])
    guard = _guard(addresses[2])
    pace_block, rank_block = _pacer_block(addresses[3]), _ranker_block(addresses[4])
    guard_block = _guard_block(addresses[5])
    state, plan = simulation.state, simulation.schedule
    num_channels, slots = state.fatigue.shape[1], plan.channel.shape[0]
    least, scores, wanted, of = double_lane(), double_lane(), float_lane(), float_lane()
    actions, may, who, seen = word_lane(), word_lane(), no_one(), not_seen()
    picked = Picked(word_lane(), float_lane())
    fatigue = float_lanes(num_channels)
    opted_in, sent = word_lanes(num_channels), word_lanes(num_channels)
    block = empty_block(fatigue, opted_in, sent)
    row = block.row
    i = start
    while i < stop:
        living = 0
        while i < stop and living < BLOCK:
            if state.alive[i]:
                row[living] = i
                living += 1
            else:
                skip_week(simulation, i)
            i += 1
        block = resized(block, living)
        load(simulation, block)
        load_sent(simulation, block)
        for s in range(slots):
            c, weekday = int64(plan.channel[s]), int64(plan.weekday[s])
            following = int64(7) if s + 1 == slots else int64(plan.weekday[s + 1])
            begins = s == 0 or int64(plan.weekday[s - 1]) != weekday
            # The policy sees the log before the days that are simulated with this slot.
            everyone = Who(row, row, block.member, block.stream, block.week, sent[c], opted_in[c])
            here = _opportunities(simulation, s, living, everyone)
            pace_block(here, pace, plan_rows, pacing, least, wanted, of)
            count = _consider(here, wanted, of, who)
            if count:
                gather(block, c, count, who)
                there = _opportunities(simulation, s, count, who)
                _draw_candidates(there, topics, qualities)
                rank_block(
                    there, rank, topics, qualities, simulation.log, simulation.launches,
                    ranking, actions, scores,
                )  # fmt: skip
                count = _choose(there, topics, qualities, actions, scores, least, who, picked)
                if count < there.size:
                    gather(block, c, count, who)
                asked = _opportunities(simulation, s, count, who)
                guard_block(asked, guard, plan_rows, may)
                count = _allow(simulation, asked, may, who, picked)
                if count < asked.size:
                    gather(block, c, count, who)
            first = int64(0) if s == 0 else weekday
            for d in range(first, following if following != weekday else weekday + 1):
                if d != weekday or begins:
                    open_day(simulation, block, d)
                if d == weekday:
                    if count:
                        send_block(simulation, block, s, count, who, picked, seen)
                    end_slot(simulation, block, s)
                if d != weekday or following != weekday:
                    close_day(simulation, block, d)
        store(simulation, block)
        end_week(simulation, block)


def simulate_week(
    simulation: SimulationState, policy: FastPolicy, guard: Any, plan_rows: Int32
) -> None:
    """Simulate one week of all rows, in threads, under a jitted policy and its guard.

    Args:
        simulation: N members at the beginning of a week.
        policy: pacer and ranker with their parameters.
        guard: the guard, compiled with ``GUARD_SIGNATURE``.
        plan_rows: [N, Q] integers per member that the policy and the guard read.
    """
    scalar = policy.pace, policy.rank, guard
    forms = map(block_form_of, scalar, (pace_each, rank_each, guard_each))
    addresses = tuple(machine_code_of(function) for function in (*scalar, *forms))
    pacing = np.ascontiguousarray(policy.pacing, np.float32)
    ranking = np.ascontiguousarray(policy.ranking, np.float32)
    simulate = entry_point(run_week)

    def work(start: int, stop: int) -> None:
        workspace = block_workspace(simulation.constants.num_candidates)
        simulate(simulation, addresses, plan_rows, pacing, ranking, *workspace, start, stop)

    for_row_shards(work, len(plan_rows))
