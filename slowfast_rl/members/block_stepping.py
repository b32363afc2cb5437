"""Kernels that simulate a block of members for a slot or a day by calling the equations.

Members of a block are next to each other in small arrays, lanes, so that the processor computes
several at once, and only those that send take the path of a send. See ``stepping`` for the kernels
of one member, which give the same bits.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import int64

from slowfast_rl.members import dynamics
from slowfast_rl.members.arrays import Float32, Int32, Integer, UInt32
from slowfast_rl.members.compile import kernel
from slowfast_rl.members.random import DAY, OUTCOME, WEEK, draw, philox
from slowfast_rl.members.scratch import float_lane, int_lane, word_lane
from slowfast_rl.members.state import (
    CAUSAL_OPENS,
    SENDS,
    THIS,
    TOPIC_LAST_SENT,
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
    view,
)


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


class Who(NamedTuple):
    """Some members of a block, as arrays without gaps."""

    lane: UInt32  # where they are in the block
    row: UInt32
    member: UInt32
    stream: UInt32
    week: Int32
    sent: UInt32
    opted_in: UInt32


class Sent(NamedTuple):
    """What was seen of the sends of a slot, in the order of ``Who``, each 0 or 1."""

    opened: UInt32
    dismissed: UInt32
    opted_out: UInt32


class Picked(NamedTuple):
    """The candidates that are sent, in the order of ``Who``."""

    topic: UInt32
    quality: Float32


@kernel
def no_one() -> Who:
    """Return lanes for some members of a block; their content is undefined."""
    return Who(
        word_lane(), word_lane(), word_lane(), word_lane(), int_lane(), word_lane(), word_lane()
    )


@kernel
def not_seen() -> Sent:
    """Return lanes for what is seen of sends; their content is undefined."""
    return Sent(word_lane(), word_lane(), word_lane())


@kernel
def gather(block: Block, c: Integer, count: int, who: Who) -> None:
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
def empty_block(fatigue: Float32, opted_in: UInt32, sent: UInt32) -> Block:
    """Return a block without members; its arrays [C, BLOCK] are those given, as they need C."""
    return Block(
        0, word_lane(), word_lane(), word_lane(), int_lane(), float_lane(), float_lane(),
        float_lane(), word_lane(), int_lane(), float_lane(), float_lane(), float_lane(),
        float_lane(), float_lane(), word_lane(), fatigue, opted_in, sent,
    )  # fmt: skip


@kernel
def resized(block: Block, size: int) -> Block:
    """Return a block of the same arrays with another number of members."""
    return Block(
        size, block.row, block.member, block.stream, block.week, block.habit, block.goodwill,
        block.p_day, block.viewed, block.organic_slot, block.base_logit, block.sensitivity,
        block.views, block.causal_opens, block.effect, block.responded, block.fatigue,
        block.opted_in, block.sent,
    )  # fmt: skip


@kernel
def are_adjacent(block: Block) -> bool:
    """Return whether the rows of a block follow one another, as they do if no member churned."""
    return block.size > 0 and int(block.row[block.size - 1] - block.row[0]) == block.size - 1


@kernel
def row_of(block: Block, k: int, adjacent: bool) -> np.uint64:
    """Return the row of a block's member k.

    Where the caller gives ``adjacent`` as a literal, rows that follow one another are copied as a
    whole, not one by one.
    """
    if adjacent:
        return np.uint64(block.row[0]) + np.uint64(k)
    return np.uint64(block.row[k])


@kernel
def take(array: Any, block: Block, lane: Any, adjacent: bool) -> None:
    """Copy the block's rows of an array [N] to a lane."""
    for k in range(block.size):
        lane[k] = array[row_of(block, k, adjacent)]


@kernel
def put(lane: Any, block: Block, array: Any, adjacent: bool) -> None:
    """Copy a lane to the block's rows of an array [N]."""
    for k in range(block.size):
        array[row_of(block, k, adjacent)] = lane[k]


@kernel
def _load(simulation: SimulationState, block: Block, adjacent: bool) -> None:
    state, traits, ledger = simulation.state, simulation.traits, simulation.ledger
    take(state.member, block, block.member, adjacent)
    take(state.stream, block, block.stream, adjacent)
    take(state.week, block, block.week, adjacent)
    take(state.habit, block, block.habit, adjacent)
    take(state.goodwill, block, block.goodwill, adjacent)
    take(state.p_day, block, block.p_day, adjacent)
    take(state.viewed, block, block.viewed, adjacent)
    take(state.organic_slot, block, block.organic_slot, adjacent)
    take(traits.base_logit, block, block.base_logit, adjacent)
    take(traits.fatigue_sensitivity, block, block.sensitivity, adjacent)
    for k in range(block.size):
        i = row_of(block, k, adjacent)
        block.views[k] = ledger[i, VIEWS]
        block.causal_opens[k] = ledger[i, CAUSAL_OPENS]
        block.effect[k] = ZERO
        block.responded[k] = 0
    for c in range(block.fatigue.shape[0]):
        fatigue, opted_in = block.fatigue[c], block.opted_in[c]
        for k in range(block.size):
            i = row_of(block, k, adjacent)
            fatigue[k] = state.fatigue[i, c]
            opted_in[k] = state.opted_in[i, c]


@kernel
def load(simulation: SimulationState, block: Block) -> None:
    """Copy the members' state into a block whose rows are set, except for counts of sends."""
    if are_adjacent(block):
        _load(simulation, block, True)
    else:
        _load(simulation, block, False)


@kernel
def load_sent(simulation: SimulationState, block: Block) -> None:
    """Copy the numbers of sends of this week into a block."""
    for c in range(block.fatigue.shape[0]):
        sent = block.sent[c]
        for k in range(block.size):
            sent[k] = np.uint32(simulation.log.by_channel[block.row[k], c, SENDS + THIS])


@kernel
def _store(simulation: SimulationState, block: Block, adjacent: bool) -> None:
    state, ledger = simulation.state, simulation.ledger
    put(block.habit, block, state.habit, adjacent)
    put(block.goodwill, block, state.goodwill, adjacent)
    put(block.p_day, block, state.p_day, adjacent)
    put(block.viewed, block, state.viewed, adjacent)
    put(block.organic_slot, block, state.organic_slot, adjacent)
    for k in range(block.size):
        i = row_of(block, k, adjacent)
        ledger[i, VIEWS] = block.views[k]
        ledger[i, CAUSAL_OPENS] = block.causal_opens[k]
    for c in range(block.fatigue.shape[0]):
        fatigue, opted_in = block.fatigue[c], block.opted_in[c]
        for k in range(block.size):
            i = row_of(block, k, adjacent)
            state.fatigue[i, c] = fatigue[k]
            state.opted_in[i, c] = opted_in[k]


@kernel
def store(simulation: SimulationState, block: Block) -> None:
    """Copy a block back into the members' state."""
    if are_adjacent(block):
        _store(simulation, block, True)
    else:
        _store(simulation, block, False)


@kernel
def end_week(simulation: SimulationState, block: Block) -> None:
    """End the week of members that have been stored."""
    churn_word = word_lane()
    for k in range(block.size):
        churn_word[k] = draw(
            simulation.seed, block.stream[k], block.member[k], block.week[k], 0, WEEK
        )
    for k in range(block.size):
        close_week(simulation, block.row[k], churn_word[k])


@kernel
def open_day(simulation: SimulationState, block: Block, weekday: Integer) -> None:
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
def close_day(simulation: SimulationState, block: Block, weekday: Integer) -> None:
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
def send_block(
    simulation: SimulationState,
    block: Block,
    s: Integer,
    count: int,
    who: Who,
    picked: Picked,
    seen: Sent,
) -> None:
    """Simulate sends at slot s to some members that are opted in; ``seen`` is filled."""
    w, traits, log = simulation.constants, simulation.traits, simulation.log
    plan = simulation.schedule
    c, weekday, slots = int64(plan.channel[s]), int64(plan.weekday[s]), plan.channel.shape[0]
    index = np.int32(plan.index_in_day[s])
    own, opted_in, sent = block.fatigue[c], block.opted_in[c], block.sent[c]
    habit, goodwill, fatigue, total = float_lane(), float_lane(), float_lane(), float_lane()
    sensitivity, responsiveness, taste = float_lane(), float_lane(), float_lane()
    propensity, frailty = float_lane(), float_lane()
    launch, since, effect = float_lane(), float_lane(), float_lane()
    organic, responded = word_lane(), word_lane()
    opened, dismissed, opted_out = seen.opened, seen.dismissed, seen.opted_out
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
def end_slot(simulation: SimulationState, block: Block, s: Integer) -> None:
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
