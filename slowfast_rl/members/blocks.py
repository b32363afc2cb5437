"""The driver that simulates weeks for a block of members at once, slot by slot.

It calls the same equations as ``driver.run_week`` and gives the same bits, several times as fast:
members of a block are next to each other in small arrays, so that the processor computes several
at once, and only those that send take the path of a send. Members of a block may be in different
weeks.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import int64, types

from slowfast_rl.members import dynamics
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
from slowfast_rl.members.random import DAY, OUTCOME, PACER, WEEK, draw, philox, uniform
from slowfast_rl.members.scratch import (
    BLOCK,
    double_lane,
    float_lane,
    float_lanes,
    int_lane,
    word_lane,
    word_lanes,
)
from slowfast_rl.members.state import (
    CAUSAL_OPENS,
    IGNORED,
    SENDS,
    THIS,
    TOPIC_LAST_SENT,
    VETOED,
    VIEWS,
    SimulationState,
)
from slowfast_rl.members.stepping import (
    ZERO,
    Outcome,
    begin_day,
    close_week,
    log_send,
    send,
    skip_week,
    view,
)
from slowfast_rl.members.threads import for_row_shards

_pacer, _pacer_block = function_at(PACER_SIGNATURE), function_at(PACER_BLOCK)
_ranker, _ranker_block = function_at(RANKER_SIGNATURE), function_at(RANKER_BLOCK)
_guard, _guard_block = function_at(GUARD_SIGNATURE), function_at(GUARD_BLOCK)


class Block(NamedTuple):
    """L living members, in the first L elements of each array; see ``State`` for the fields."""

    size: int  # L
    row: UInt32  # in the population's arrays
    member: UInt32
    stream: UInt32
    week: Int32
    habit: Float32
    goodwill: Float32
    p_day: Float32
    viewed: UInt32
    organic_slot: Int32
    base_logit: Float32
    sensitivity: Float32  # to fatigue
    views: Float32  # of the week so far, as the ledger counts them
    causal_opens: Float32
    effect: Float32  # of this slot's send, 0 without one
    responded: UInt32  # in this slot
    fatigue: Float32  # [C, L]
    opted_in: UInt32  # [C, L]
    sent: UInt32  # [C, L] this week


class _Who(NamedTuple):
    """Some members of a block, as arrays without gaps."""

    lane: UInt32  # where they are in the block
    row: UInt32
    member: UInt32
    stream: UInt32
    week: Int32
    sent: UInt32
    opted_in: UInt32


class _Picked(NamedTuple):
    """The candidates that are sent, in the order of ``_Who``."""

    topic: UInt32
    quality: Float32


@kernel
def _no_one() -> _Who:
    return _Who(
        word_lane(), word_lane(), word_lane(), word_lane(), int_lane(), word_lane(), word_lane()
    )


@kernel
def _gather(block: Block, c: Integer, count: int, who: _Who) -> None:
    """Fill the arrays of ``count`` members, given their lanes, for channel c."""
    sent, opted_in = block.sent[c], block.opted_in[c]
    for k in range(count):
        lane = who.lane[k]
        who.row[k] = block.row[lane]
        who.member[k] = block.member[lane]
        who.stream[k] = block.stream[lane]
        who.week[k] = block.week[lane]
        who.sent[k] = sent[lane]
        who.opted_in[k] = opted_in[lane]


@kernel
def _opportunities(simulation: SimulationState, s: Integer, count: int, who: Any) -> Opportunities:
    """Return the opportunities at slot s of members given as ``_Who``."""
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
def _load(simulation: SimulationState, block: Block) -> None:
    """Copy the members' state into a block whose rows are set."""
    state, traits, ledger = simulation.state, simulation.traits, simulation.ledger
    for k in range(block.size):
        i = block.row[k]
        block.member[k] = state.member[i]
        block.stream[k] = state.stream[i]
        block.week[k] = state.week[i]
        block.habit[k] = state.habit[i]
        block.goodwill[k] = state.goodwill[i]
        block.p_day[k] = state.p_day[i]
        block.viewed[k] = state.viewed[i]
        block.organic_slot[k] = state.organic_slot[i]
        block.base_logit[k] = traits.base_logit[i]
        block.sensitivity[k] = traits.fatigue_sensitivity[i]
        block.views[k] = ledger[i, VIEWS]
        block.causal_opens[k] = ledger[i, CAUSAL_OPENS]
        block.effect[k] = ZERO
        block.responded[k] = 0
    for c in range(block.fatigue.shape[0]):
        for k in range(block.size):
            i = block.row[k]
            block.fatigue[c, k] = state.fatigue[i, c]
            block.opted_in[c, k] = state.opted_in[i, c]
            block.sent[c, k] = np.uint32(simulation.log.by_channel[i, c, SENDS + THIS])


@kernel
def _store(simulation: SimulationState, block: Block) -> None:
    """Copy a block back into the members' state, and end their week."""
    state, ledger = simulation.state, simulation.ledger
    churn_word = word_lane()
    for k in range(block.size):
        churn_word[k] = draw(
            simulation.seed, block.stream[k], block.member[k], block.week[k], 0, WEEK
        )
    for k in range(block.size):
        i = block.row[k]
        state.habit[i] = block.habit[k]
        state.goodwill[i] = block.goodwill[k]
        state.p_day[i] = block.p_day[k]
        state.viewed[i] = block.viewed[k]
        state.organic_slot[i] = block.organic_slot[k]
        ledger[i, VIEWS] = block.views[k]
        ledger[i, CAUSAL_OPENS] = block.causal_opens[k]
        for c in range(block.fatigue.shape[0]):
            state.fatigue[i, c] = block.fatigue[c, k]
            state.opted_in[i, c] = block.opted_in[c, k]
        close_week(simulation, i, churn_word[k])


@kernel
def _open_day(simulation: SimulationState, block: Block, weekday: Integer) -> None:
    """Begin a day of a block; see ``stepping.open_day``."""
    w, launches = simulation.constants, simulation.launches
    launched, fatigue = float_lane(), float_lane()
    slots = simulation.schedule.slots_in_day[weekday]
    for k in range(block.size):
        launched[k] = fatigue[k] = ZERO
    for d in range(launches.shape[1]):
        for k in range(block.size):
            launched[k] += launches[block.week[k] * 7 + weekday, d]
    for c in range(block.fatigue.shape[0]):
        own = block.fatigue[c]
        for k in range(block.size):
            fatigue[k] += own[k]
    for k in range(block.size):
        day = block.week[k] * 7 + weekday
        word = draw(simulation.seed, block.stream[k], block.member[k], day, 0, DAY)
        felt = block.sensitivity[k] * fatigue[k]
        block.p_day[k], block.organic_slot[k] = begin_day(
            w, block.base_logit[k], block.habit[k], block.goodwill[k], felt, launched[k],
            weekday, slots, word,
        )  # fmt: skip
        block.viewed[k] = 0


@kernel
def _close_day(simulation: SimulationState, block: Block, weekday: Integer) -> None:
    """End a day of a block; see ``stepping.close_day``."""
    w, by_member = simulation.constants, simulation.log.by_member
    if simulation.schedule.slots_in_day[weekday] == 0:
        for k in range(block.size):
            organic = np.uint32(block.organic_slot[k] >= 0)
            block.views[k] += np.float32(organic) if simulation.sampled else block.p_day[k]
            block.viewed[k] = organic
    for k in range(block.size):
        block.habit[k] = dynamics.habit_after_day(w, block.habit[k], block.viewed[k])
        block.goodwill[k] = dynamics.goodwill_after_day(w, block.goodwill[k])
    for c in range(block.fatigue.shape[0]):
        own, kept = block.fatigue[c], w.fatigue_kept[c]
        for k in range(block.size):
            own[k] *= kept
    for k in range(block.size):
        by_member[block.row[k], THIS] += np.float32(block.viewed[k])


@kernel
def _consider(opportunities: Opportunities, wanted: Float32, of: Float32, who: _Who) -> int:
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
    who: _Who,
    picked: _Picked,
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
    simulation: SimulationState, asked: Opportunities, may: UInt32, who: _Who, picked: _Picked
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


@kernel
def _send(
    simulation: SimulationState, block: Block, s: Integer, count: int, who: _Who, picked: _Picked
) -> None:
    """Simulate sends at slot s to some members that are opted in."""
    w, traits, log = simulation.constants, simulation.traits, simulation.log
    plan = simulation.schedule
    c, weekday, slots = int64(plan.channel[s]), int64(plan.weekday[s]), plan.channel.shape[0]
    index = np.int32(plan.index_in_day[s])
    own, opted_in, sent = block.fatigue[c], block.opted_in[c], block.sent[c]
    habit, goodwill, fatigue, total = float_lane(), float_lane(), float_lane(), float_lane()
    sensitivity, responsiveness, taste = float_lane(), float_lane(), float_lane()
    propensity, frailty = float_lane(), float_lane()
    launch, since, effect = float_lane(), float_lane(), float_lane()
    organic, responded, opened = word_lane(), word_lane(), word_lane()
    dismissed, opted_out = word_lane(), word_lane()
    words = word_lane(), word_lane(), word_lane(), word_lane()
    for k in range(count):
        lane = who.lane[k]
        habit[k] = block.habit[lane]
        goodwill[k] = block.goodwill[lane]
        fatigue[k] = own[lane]
        sensitivity[k] = block.sensitivity[lane]
        organic[k] = block.organic_slot[lane] == index
        total[k] = ZERO
    for other in range(block.fatigue.shape[0]):
        of_channel = block.fatigue[other]
        for k in range(count):
            total[k] += of_channel[who.lane[k]]
    for k in range(count):
        i, d = who.row[k], picked.topic[k]
        day = who.week[k] * 7 + weekday
        responsiveness[k] = traits.responsiveness[i, c]
        propensity[k] = traits.dismissal_propensity[i]
        frailty[k] = traits.opt_out_frailty[i, c]
        taste[k] = traits.taste[i, d]
        launch[k] = simulation.launches[day, d]
        since[k] = np.float32(day) - log.by_topic[i, d, TOPIC_LAST_SENT]
    for k in range(count):
        time = int64(who.week[k]) * slots + s
        words[0][k], words[1][k], words[2][k], words[3][k] = philox(
            simulation.seed, who.stream[k], who.member[k], time, 0, OUTCOME
        )
    for k in range(count):
        relevance = dynamics.relevance(w, picked.quality[k], taste[k], launch[k])
        outcome = send(
            w, c, (words[0][k], words[1][k], words[2][k], words[3][k]),
            relevance, since[k], organic[k] != 0,
            habit[k], goodwill[k], fatigue[k], total[k], sensitivity[k], responsiveness[k],
            propensity[k], frailty[k],
        )  # fmt: skip
        effect[k] = outcome.effect
        responded[k] = outcome.responded
        opened[k] = outcome.opened
        dismissed[k] = outcome.dismissed
        opted_out[k] = outcome.opted_out
        goodwill[k] = outcome.goodwill
        fatigue[k] = outcome.fatigue
    for k in range(count):
        lane, i = who.lane[k], who.row[k]
        outcome = Outcome(
            effect[k], responded[k] != 0, opened[k] != 0, dismissed[k] != 0, opted_out[k] != 0,
            goodwill[k], fatigue[k],
        )  # fmt: skip
        block.goodwill[lane] = goodwill[k]
        own[lane] = fatigue[k]
        block.effect[lane] = effect[k]
        block.responded[lane] = responded[k]
        opted_in[lane] = np.uint32(1) - opted_out[k]
        sent[lane] += np.uint32(1)
        log_send(log, i, c, picked.topic[k], np.float32(who.week[k] * 7 + weekday), outcome)


@kernel
def _end_slot(simulation: SimulationState, block: Block, s: Integer) -> None:
    """Count the views of a slot."""
    plan, sampled = simulation.schedule, simulation.sampled
    index, slots = np.int32(plan.index_in_day[s]), plan.slots_in_day[plan.weekday[s]]
    for k in range(block.size):
        first, views, causal = view(
            block.organic_slot[k] == index, block.responded[k] != 0, block.viewed[k] != 0, sampled,
            block.effect[k], block.p_day[k], index, slots,
        )  # fmt: skip
        block.views[k] += views
        block.causal_opens[k] += causal
        block.viewed[k] |= np.uint32(first)
        block.effect[k] = ZERO
        block.responded[k] = 0


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
    num_channels = state.fatigue.shape[1]
    row = word_lane()
    least, scores, wanted, of = double_lane(), double_lane(), float_lane(), float_lane()
    actions, may, who, picked = (
        word_lane(),
        word_lane(),
        _no_one(),
        _Picked(word_lane(), float_lane()),
    )
    fatigue = float_lanes(num_channels)
    opted_in, sent = word_lanes(num_channels), word_lanes(num_channels)
    block = Block(
        0, row, word_lane(), word_lane(), int_lane(), float_lane(), float_lane(), float_lane(),
        word_lane(), int_lane(), float_lane(), float_lane(), float_lane(), float_lane(),
        float_lane(), word_lane(), fatigue, opted_in, sent,
    )  # fmt: skip
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
        block = Block(
            living, row, block.member, block.stream, block.week, block.habit, block.goodwill,
            block.p_day, block.viewed, block.organic_slot, block.base_logit, block.sensitivity,
            block.views, block.causal_opens, block.effect, block.responded, fatigue, opted_in, sent,
        )  # fmt: skip
        _load(simulation, block)
        s = 0
        for weekday in range(7):
            _open_day(simulation, block, weekday)
            while s < plan.channel.shape[0] and plan.weekday[s] == weekday:
                c = int64(plan.channel[s])
                everyone = _Who(
                    row, row, block.member, block.stream, block.week, sent[c], opted_in[c]
                )
                here = _opportunities(simulation, s, living, everyone)
                pace_block(here, pace, plan_rows, pacing, least, wanted, of)
                count = _consider(here, wanted, of, who)
                if count:
                    _gather(block, c, count, who)
                    there = _opportunities(simulation, s, count, who)
                    _draw_candidates(there, topics, qualities)
                    rank_block(
                        there, rank, topics, qualities, simulation.log, simulation.launches,
                        ranking, actions, scores,
                    )  # fmt: skip
                    count = _choose(there, topics, qualities, actions, scores, least, who, picked)
                    if count < there.size:
                        _gather(block, c, count, who)
                    asked = _opportunities(simulation, s, count, who)
                    guard_block(asked, guard, plan_rows, may)
                    count = _allow(simulation, asked, may, who, picked)
                    if count < asked.size:
                        _gather(block, c, count, who)
                    _send(simulation, block, s, count, who, picked)
                _end_slot(simulation, block, s)
                s += 1
            _close_day(simulation, block, weekday)
        _store(simulation, block)


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
