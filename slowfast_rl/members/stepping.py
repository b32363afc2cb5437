"""Kernels that simulate one member for a slot, a day or a week by calling the equations.

Drivers call ``enter_slot``, ``take_slot`` and ``leave_slot`` in this order for every slot.
"""

from typing import NamedTuple

import numpy as np

from slowfast_rl.members import dynamics
from slowfast_rl.members.arrays import Float32, Int64, Integer
from slowfast_rl.members.compile import kernel
from slowfast_rl.members.constants import Constants
from slowfast_rl.members.numerics import ONE
from slowfast_rl.members.random import CANDIDATE, DAY, OUTCOME, WEEK, draw, philox, uniform
from slowfast_rl.members.state import (
    CAUSAL_OPENS,
    CHURNED,
    DISMISSALS,
    EVENTS,
    EW4,
    EW20,
    EW_SHARES,
    HEAVY,
    IGNORED,
    LAST,
    LAST_SENT,
    LEDGER_COLUMNS,
    LIGHT,
    LIGHT_WEEK,
    OPENS,
    OPT_OUTS,
    SENDS,
    THIS,
    TOPIC_LAST_SENT,
    TOPIC_OPENS,
    TOPIC_SENDS,
    VIEWS,
    WINDOWS,
    Events,
    Log,
    SimulationState,
    State,
)

ZERO = np.float32(0)


@kernel
def total_fatigue(state: State, i: Integer) -> np.float32:
    """Return the sum of a member's fatigue over channels."""
    total = ZERO
    for c in range(state.fatigue.shape[1]):
        total += state.fatigue[i, c]
    return total


@kernel
def begin_day(
    w: Constants,
    base_logit: np.float32,
    habit: np.float32,
    goodwill: np.float32,
    felt_total: np.float32,
    launch_total: np.float32,
    weekday: Integer,
    slots: Integer,
    word: Integer,
) -> tuple[np.float32, np.int32]:
    """Return p_day and the index in the day of the organic view, -1 for none.

    ``slots`` is the number of slots on the day, and ``word`` the day's random word.
    """
    p_day = dynamics.organic_view(w, base_logit, habit, goodwill, felt_total, launch_total, weekday)
    u = uniform(word)
    last = max(np.int32(slots), np.int32(1)) - np.int32(1)
    index = min(np.int32(u / p_day * np.float32(last + 1)), last)
    return p_day, np.int32(index if u < p_day else -1)


@kernel
def open_day(simulation: SimulationState, i: Integer, weekday: Integer) -> None:
    """Begin a day: compute p_day and draw the slot of the organic view, if there is one."""
    w, state, traits = simulation.constants, simulation.state, simulation.traits
    launches = simulation.launches
    day = state.week[i] * 7 + weekday
    launch_total = ZERO
    for d in range(launches.shape[1]):
        launch_total += launches[day, d]
    word = draw(simulation.seed, state.stream[i], state.member[i], day, 0, DAY)
    state.p_day[i], state.organic_slot[i] = begin_day(
        w,
        traits.base_logit[i],
        state.habit[i],
        state.goodwill[i],
        traits.fatigue_sensitivity[i] * total_fatigue(state, i),
        launch_total,
        weekday,
        simulation.schedule.slots_in_day[weekday],
        word,
    )
    state.viewed[i] = 0


@kernel
def close_day(simulation: SimulationState, i: Integer, weekday: Integer) -> None:
    """End a day: update habit, fatigue, goodwill and the count of viewing days."""
    w, state, log = simulation.constants, simulation.state, simulation.log
    if simulation.schedule.slots_in_day[weekday] == 0:
        organic = state.organic_slot[i] >= 0
        simulation.ledger[i, VIEWS] += np.float32(organic) if simulation.sampled else state.p_day[i]
        state.viewed[i] = organic
    state.habit[i] = dynamics.habit_after_day(w, state.habit[i], state.viewed[i])
    for c in range(state.fatigue.shape[1]):
        state.fatigue[i, c] *= w.fatigue_kept[c]
    state.goodwill[i] = dynamics.goodwill_after_day(w, state.goodwill[i])
    log.by_member[i, THIS] += np.float32(state.viewed[i])


@kernel
def roll(windows: Float32, first: Integer) -> None:
    """End the week of one counted event: move its count to last week and both averages."""
    count = windows[first + THIS]
    windows[first + LAST] = count
    windows[first + EW4] += (count - windows[first + EW4]) * EW_SHARES[0]
    windows[first + EW20] += (count - windows[first + EW20]) * EW_SHARES[1]
    windows[first + THIS] = ZERO


@kernel
def roll_log(log: Log, i: Integer) -> None:
    """End a week in the log of a member that was alive in it: update every window."""
    num_channels = log.by_channel.shape[1]
    sent_before = ZERO
    for c in range(num_channels):
        sent_before += log.by_channel[i, c, SENDS + LAST]
    dose = LIGHT if sent_before <= LIGHT_WEEK else HEAVY
    roll(log.by_member[i], 0)
    for c in range(num_channels):
        counts = log.by_channel[i, c]
        counts[dose] += counts[SENDS + THIS]
        counts[dose + 1] += counts[OPENS + THIS]
        counts[dose + 2] += counts[DISMISSALS + THIS]
        for event in range(EVENTS):
            roll(counts, event * WINDOWS)


@kernel
def skip_log(log: Log, i: Integer) -> None:
    """End a week in the log of a member that churned before it: its last week is 0."""
    log.by_member[i, LAST] = ZERO
    for c in range(log.by_channel.shape[1]):
        for event in range(EVENTS):
            log.by_channel[i, c, event * WINDOWS + LAST] = ZERO


@kernel
def close_week(simulation: SimulationState, i: Integer, churn_word: Integer) -> None:
    """End a week: update logged windows, draw opting in again, then churn given the new habit."""
    state, log, ledger = simulation.state, simulation.log, simulation.ledger
    roll_log(log, i)
    stream, member, week = state.stream[i], state.member[i], state.week[i]
    for c in range(state.fatigue.shape[1]):
        if not state.opted_in[i, c] and log.by_channel[i, c, OPT_OUTS + LAST] == ZERO:
            u = uniform(draw(simulation.seed, stream, member, week, 1 + c, WEEK))
            state.opted_in[i, c] = u < simulation.constants.opt_in_again[c]
    if uniform(churn_word) < dynamics.churn(simulation.constants, state.habit[i]):
        state.alive[i] = 0
        ledger[i, CHURNED] = ONE
    for part in range(LEDGER_COLUMNS):
        ledger[i, LEDGER_COLUMNS + part] = ledger[i, part]
        ledger[i, part] = ZERO
    state.week[i] = week + 1


@kernel
def skip_week(simulation: SimulationState, i: Integer) -> None:
    """Skip a week of a churned member: set its last week in log and ledger to 0."""
    for part in range(2 * LEDGER_COLUMNS):
        simulation.ledger[i, part] = ZERO
    skip_log(simulation.log, i)
    simulation.state.week[i] += 1


@kernel
def pass_days(simulation: SimulationState, i: Integer, first: Integer, stop: Integer) -> None:
    """Simulate days without slots, from weekday ``first`` to ``stop`` - 1."""
    for d in range(first, stop):
        open_day(simulation, i, d)
        close_day(simulation, i, d)


@kernel
def enter_slot(simulation: SimulationState, i: Integer, s: Integer) -> None:
    """Begin the day before its first slot; before the week's first slot, simulate earlier days."""
    days = simulation.schedule.weekday
    weekday = np.int64(days[s])
    if s == 0:
        pass_days(simulation, i, 0, weekday)
    if s == 0 or days[s - 1] != weekday:
        open_day(simulation, i, weekday)


@kernel
def leave_slot(simulation: SimulationState, i: Integer, s: Integer) -> None:
    """End the day after its last slot, simulate days without slots, and end the week."""
    days = simulation.schedule.weekday
    weekday, last = np.int64(days[s]), s + 1 == days.shape[0]
    following = np.int64(7) if last else np.int64(days[s + 1])
    if following == weekday:
        return
    close_day(simulation, i, weekday)
    pass_days(simulation, i, weekday + 1, following)
    if last:
        state = simulation.state
        word = draw(simulation.seed, state.stream[i], state.member[i], state.week[i], 0, WEEK)
        close_week(simulation, i, word)


@kernel
def utility_of_views(w: Constants, views: float, causal_opens: float, churned: float) -> float:
    """Return the part of the utility that does not depend on channels, in viewing days."""
    value: float = w.viewing_day_value * views
    value += w.causal_open_value * causal_opens
    value -= w.churn_cost * churned
    return value


@kernel
def utility_with_channel(w: Constants, value: float, sends: float, opt_outs: float) -> float:
    """Return a utility after the cost of one channel's sends and opt-outs, in viewing days."""
    value -= w.message_cost * sends
    value -= w.opt_out_cost * opt_outs
    return value


@kernel
def utility(simulation: SimulationState, i: Integer, window: int) -> float:
    """Return the utility of this week so far or of the last week, in viewing days (float64)."""
    w, ledger, first = simulation.constants, simulation.ledger, window * LEDGER_COLUMNS
    value: float = utility_of_views(
        w, ledger[i, first + VIEWS], ledger[i, first + CAUSAL_OPENS], ledger[i, first + CHURNED]
    )
    for c in range(simulation.log.by_channel.shape[1]):
        counts = simulation.log.by_channel[i, c]
        value = utility_with_channel(w, value, counts[SENDS + window], counts[OPT_OUTS + window])
    return value


@kernel
def candidate_at(
    simulation: SimulationState, i: Integer, s: Integer, number: Integer
) -> tuple[np.uint32, np.float32]:
    """Return topic and quality of member i's candidate ``number``, from 0, at slot s."""
    state = simulation.state
    time = state.week[i] * simulation.schedule.weekday.shape[0] + s
    word = draw(simulation.seed, state.stream[i], state.member[i], time, number, CANDIDATE)
    return dynamics.candidate(simulation.constants.num_topics, word)


class Outcome(NamedTuple):
    """What a send leads to."""

    effect: np.float32  # probability that it causes a view
    responded: np.bool
    opened: np.bool
    dismissed: np.bool
    opted_out: np.bool
    goodwill: np.float32  # afterwards
    fatigue: np.float32  # of its channel, afterwards


@kernel
def send(
    w: Constants,
    c: Integer,
    words: tuple[np.uint32, np.uint32, np.uint32, np.uint32],
    relevance: np.float32,
    topic_days: np.float32,
    organic: bool,
    habit: np.float32,
    goodwill: np.float32,
    fatigue: np.float32,
    total: np.float32,
    sensitivity: np.float32,
    responsiveness: np.float32,
    propensity: np.float32,
    frailty: np.float32,
) -> Outcome:
    """Return the outcome of a send on channel c: response and open; dismissal, goodwill, opt-out.

    All probabilities use the state before the send. Without branches, so that loops over members
    can be vectorised.

    Args:
        w: the world's constants.
        c: the channel.
        words: the slot's random words for response, tap, dismissal and opt-out.
        relevance: of the message to the member.
        topic_days: days since the member was sent the topic.
        organic: whether the member views in this slot anyway.
        habit: of the member, as the following.
        goodwill: before the send.
        fatigue: of this channel, before the send.
        total: fatigue over all channels.
        sensitivity: to fatigue.
        responsiveness: to this channel.
        propensity: to dismiss.
        frailty: of opting out of this channel.
    """
    felt = dynamics.felt_fatigue(w, sensitivity, fatigue, total)
    effect = dynamics.response(w, c, responsiveness, relevance, topic_days, felt, habit)
    responded = uniform(words[0]) < effect
    opened = responded | (organic & (uniform(words[1]) < w.tap[c]))
    annoyed = uniform(words[2]) < dynamics.dismissal(w, c, propensity, felt)
    leaves = uniform(words[3]) < dynamics.opt_out(w, c, frailty, felt, relevance)
    unopened = dynamics.goodwill_after_unopened(w, c, goodwill, sensitivity)
    return Outcome(
        effect,
        responded,
        opened,
        annoyed & (not opened),
        leaves & (not opened),
        goodwill if opened else unopened,
        dynamics.fatigue_after_send(w, fatigue, relevance, opened),
    )


@kernel
def log_send(
    log: Log, i: Integer, c: Integer, topic: Integer, day: np.float32, outcome: Outcome
) -> None:
    """Log a send and what was seen of its outcome."""
    opened = np.float32(outcome.opened)
    log.by_channel[i, c, SENDS + THIS] += ONE
    log.by_channel[i, c, OPENS + THIS] += opened
    log.by_channel[i, c, DISMISSALS + THIS] += np.float32(outcome.dismissed)
    log.by_channel[i, c, OPT_OUTS + THIS] += np.float32(outcome.opted_out)
    log.by_channel[i, c, LAST_SENT] = day
    log.by_topic[i, topic, TOPIC_SENDS] += ONE
    log.by_topic[i, topic, TOPIC_OPENS] += opened
    log.by_topic[i, topic, TOPIC_LAST_SENT] = day


@kernel
def view(
    organic: bool | np.bool,
    responded: bool | np.bool,
    viewed: bool | np.bool,
    sampled: bool,
    effect: np.float32,
    p_day: np.float32,
    index: Integer,
    slots: Integer,
) -> tuple[bool | np.bool, np.float32, np.float32]:
    """Return whether a slot has the day's first view, and what it adds to views and causal opens.

    Args:
        organic: whether the member views in this slot anyway.
        responded: whether a send caused a view.
        viewed: whether the member viewed earlier today.
        sampled: whether views and causal opens are counted as drawn, not as expected.
        effect: the probability that a send causes a view; 0 without a send.
        p_day: probability of an organic view today.
        index: of the slot in the day.
        slots: number of slots on the day.
    """
    first = (organic | responded) & (not viewed)
    if sampled:
        return first, np.float32(first), np.float32(responded)
    hazard = dynamics.organic_hazard(p_day, index, slots)
    return first, ZERO if viewed else dynamics.expected_view(hazard, effect), effect


@kernel
def take_slot(
    simulation: SimulationState,
    i: Integer,
    s: Integer,
    action: Integer,
    topic: Integer,
    quality: np.float32,
    events: Events,
    e: Integer,
) -> None:
    """Simulate one slot under an action: 0 holds, another one sends a candidate; events in row e.

    ``topic`` and ``quality`` are those of the candidate that is sent.
    """
    w, state, traits = simulation.constants, simulation.state, simulation.traits
    ledger, schedule = simulation.ledger, simulation.schedule
    c, weekday = schedule.channel[s], schedule.weekday[s]
    index, slots = schedule.index_in_day[s], schedule.slots_in_day[weekday]
    organic = state.organic_slot[i] == index
    if action > 0 and not state.opted_in[i, c]:
        ledger[i, IGNORED] += ONE
        action = 0
    effect = ZERO
    responded = opened = dismissed = opted_out = effect < ZERO  # false, as a NumPy value
    if action > 0:
        week = state.week[i]
        day, time = week * 7 + weekday, week * schedule.weekday.shape[0] + s
        since = np.float32(day) - simulation.log.by_topic[i, topic, TOPIC_LAST_SENT]
        outcome = send(
            w,
            c,
            philox(simulation.seed, state.stream[i], state.member[i], time, 0, OUTCOME),
            dynamics.relevance(w, quality, traits.taste[i, topic], simulation.launches[day, topic]),
            since,
            organic,
            state.habit[i],
            state.goodwill[i],
            state.fatigue[i, c],
            total_fatigue(state, i),
            traits.fatigue_sensitivity[i],
            traits.responsiveness[i, c],
            traits.dismissal_propensity[i],
            traits.opt_out_frailty[i, c],
        )
        effect, responded, opened, dismissed, opted_out, goodwill, fatigue = outcome
        state.goodwill[i] = goodwill
        state.fatigue[i, c] = fatigue
        if opted_out:
            state.opted_in[i, c] = 0
        log_send(simulation.log, i, c, topic, np.float32(day), outcome)
    first, views, causal = view(
        organic, responded, state.viewed[i] != 0, simulation.sampled, effect, state.p_day[i],
        index, slots,
    )  # fmt: skip
    ledger[i, VIEWS] += views
    ledger[i, CAUSAL_OPENS] += causal
    if first:
        state.viewed[i] = 1
    events.sent[e] = action > 0
    events.opened[e] = opened
    events.dismissed[e] = dismissed
    events.opted_out[e] = opted_out
    events.viewed[e] = first


@kernel
def shared_slot(slots: Int64) -> int:
    """Return the slot that all members are at; -1 if they are at different slots."""
    for i in range(1, slots.shape[0]):
        if slots[i] != slots[0]:
            return -1
    slot: int = slots[0]
    return slot
