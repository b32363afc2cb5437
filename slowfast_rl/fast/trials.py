"""Randomised trials: random candidates are sent or held back, and views of the day are logged.

They are simulated, or found in a company's log.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import types

from slowfast_rl.fast.decide import empty_observed, read_opportunity
from slowfast_rl.fast.uplift_features import (
    CANDIDATE_TERMS,
    MEMBER_TERMS,
    ORGANIC_TERMS,
    candidate_terms,
    member_terms,
    organic_terms,
)
from slowfast_rl.logs.sampling import MAX_ROWS, RowSample
from slowfast_rl.members.arrays import Bool, Float32, Float64, Int64, Integer, UInt8
from slowfast_rl.members.clock import DAY_SECONDS
from slowfast_rl.members.compile import driver, kernel
from slowfast_rl.members.dynamics import candidate
from slowfast_rl.members.observations import read_candidates
from slowfast_rl.members.opportunity import LOG, SIMULATION
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import CANDIDATE, Domain, ExplorationStream, draw, random_words
from slowfast_rl.members.state import Log, SimulationState
from slowfast_rl.members.world import World
from slowfast_rl.policies.columns import slots_of_week

if TYPE_CHECKING:
    from slowfast_rl.logs.reading import EventLog

SEND_SHARE = 0.25  # of opportunities; the same share are trials without a send
_FLOATS = types.Array(types.float32, 2, "C")
_INT64S = types.Array(types.int64, 1, "C")


class Trials(NamedTuple):
    """B opportunities at which chance decided whether a random candidate was sent."""

    channel: Int64  # [B]
    weekday: Int64  # [B] 0 is Monday
    organic: Float32  # [B, ORGANIC_TERMS]
    response: Float32  # [B, MEMBER_TERMS + CANDIDATE_TERMS]
    sent: Bool  # [B]
    viewed: Bool  # [B] whether the member viewed on the day of the opportunity


def collect_trials(world: World, num_members: int, weeks: int, seed: int) -> Trials:
    """Return trials of opted-in members, with terms computed before the decision.

    Neither the decision, nor the candidate, nor sends at other opportunities depend on the member.
    The difference in viewing between trials with and without a send is therefore caused by it.

    Args:
        world: the world.
        num_members: number of members, of population ``seed``.
        weeks: number of weeks, 1 or more.
        seed: seed of population, luck and exploration.
    """
    population = Population(world, num_members, seed, seed)
    viewed = np.zeros(num_members, np.bool_)
    today: list[tuple[Int64, Trials]] = []  # members, and trials of a day that has not ended
    trials = []
    for time in range(weeks * world.slots_per_week):
        number = population.slot
        slot = world.schedule[number]
        coin, choice = random_sends(population, seed, time)
        may = population.opted_in[:, slot.channel] & population.alive
        sent = may & (coin < SEND_SHARE)
        rows = np.flatnonzero(may & (coin < 2 * SEND_SHARE))
        organic, response = trial_terms(population, choice)
        known = len(rows), organic[rows], response[rows], sent[rows]
        today.append((rows, _trials(slot.channel, slot.weekday, *known)))
        _, events = population.step(np.where(sent, choice + 1, 0))
        viewed |= events.viewed.view(np.bool_)
        if world.schedule[population.slot].weekday != slot.weekday or population.slot == 0:
            trials += [t._replace(viewed=viewed[who]) for who, t in today]
            today, viewed = [], np.zeros(num_members, np.bool_)
    return Trials(*(np.concatenate(column) for column in zip(*trials, strict=True)))


def random_sends(population: Population, seed: int, time: int) -> tuple[Float64, Int64]:
    """Return each member's coin, uniform in [0, 1), and its random candidate, from 0, [N] each.

    Args:
        population: the members.
        seed: the seed of the exploration.
        time: the number of the opportunity since the start.
    """
    words = random_words(
        seed,
        ExplorationStream.RANDOM_SENDS,
        population.members,
        np.full(population.num_members, time),
        Domain.EXPLORATION,
    )
    choice = words.astype(np.int64) % population.world.num_candidates  # by the word's low bits
    return words / 2**32, choice


def trial_terms(population: Population, choice: Int64) -> tuple[Float32, Float32]:
    """Return the terms of each member and of its candidate at this slot.

    Args:
        population: N members.
        choice: [N] the candidates, from 0.

    Returns:
        [N, ORGANIC_TERMS] and [N, MEMBER_TERMS + CANDIDATE_TERMS].
    """
    population.keep_calendar()
    organic, response = _empty_terms(population.num_members)
    _fill_terms(population.simulation, population.slot, choice, organic, response)
    return organic, response


def _trials(
    channel: int, weekday: int, size: int, organic: Float32, response: Float32, sent: Bool
) -> Trials:
    whole = np.full(size, channel), np.full(size, weekday)
    return Trials(*whole, organic, response, sent, np.zeros(size, np.bool_))


def trials_of(log: "EventLog", seed: int = 0, max_rows: int = MAX_ROWS) -> Trials:
    """Return the opportunities of a log at which chance decided what was done.

    They are those whose propensity is below 1; at some of them only the candidate may have been
    left to chance. What a member shows at the opportunity may have
    changed the propensity: the models have the same terms.

    Args:
        log: the log, with what the candidates were and with decisions to hold.
        seed: decides which trials are kept.
        max_rows: number of trials that are kept at most.

    Raises:
        ValueError: nothing was left to chance, or the log lacks sends, decisions to hold, or what
            the candidates were.
    """
    from slowfast_rl.logs.histories import MemberHistories

    kept = RowSample[Trials](max_rows, seed)
    for part in log.parts():
        histories, given = MemberHistories(log, part), part.decisions.columns
        for found in histories.opportunities():
            some = given["propensity"][found.rows] < 1
            at = found.rows[some]
            if not at.size:
                continue
            times, members = given["time"][at], given["member"][at]
            action = given["action"][at].astype(np.int64)
            days = times // DAY_SECONDS
            organic, response = observed_terms(
                log.world, found.observations[some], np.maximum(action - 1, 0)
            )
            trials = Trials(
                given["channel"][at].astype(np.int64), days % 7, organic, response, action > 0,
                histories.viewed[days, histories.rows_of(members)],
            )  # fmt: skip
            kept.add(members, times, trials)
    trials_kept = kept.rows()
    if trials_kept is None or trials_kept.sent.all() or not trials_kept.sent.any():
        raise ValueError(
            f"{log.folder} has no sends and decisions to hold that were left to chance; the effect "
            "of a message needs both"
        )
    return trials_kept


def observed_terms(world: World, obs: Float32, choice: Int64) -> tuple[Float32, Float32]:
    """Return the terms of members and of their candidates, computed from observations.

    Args:
        world: the world.
        obs: [B, F] observations of ``Messaging-v0``.
        choice: [B] the candidates, from 0.

    Returns:
        [B, ORGANIC_TERMS] and [B, MEMBER_TERMS + CANDIDATE_TERMS].
    """
    organic, response = _empty_terms(len(obs))
    _fill_observed_terms(
        np.ascontiguousarray(obs, np.float32), *empty_observed(world, len(obs)),
        slots_of_week(world), choice, organic, response,
    )  # fmt: skip
    return organic, response


def _empty_terms(size: int) -> tuple[Float32, Float32]:
    organic = np.empty((size, ORGANIC_TERMS), np.float32)
    return organic, np.empty((size, MEMBER_TERMS + CANDIDATE_TERMS), np.float32)


@kernel
def _write_terms(
    log: Log,
    i: Integer,
    c: Integer,
    day: Integer,
    topic: Integer,
    quality: np.float32,
    launches: Float32,
    organic: Float32,
    response: Float32,
) -> None:
    """Write the terms of member i on channel c and of its candidate to row i of both arrays."""
    views, channels, topics = log.by_member[i], log.by_channel[i], log.by_topic[i]
    viewing = organic_terms(views, channels, launches, day)
    for k in range(ORGANIC_TERMS):
        organic[i, k] = viewing[k]
    member = member_terms(views, channels, topics, c, day)
    for k in range(MEMBER_TERMS):
        response[i, k] = member[k]
    chosen = candidate_terms(topics, topic, quality, launches[topic], day)
    for k in range(CANDIDATE_TERMS):
        response[i, MEMBER_TERMS + k] = chosen[k]


@driver(types.void(SIMULATION, types.int64, _INT64S, _FLOATS, _FLOATS))
def _fill_terms(
    simulation: SimulationState, s: int, choice: Int64, organic: Float32, response: Float32
) -> None:
    state, schedule = simulation.state, simulation.schedule
    num_topics = simulation.log.by_topic.shape[1]
    for i in range(choice.shape[0]):
        day = state.week[i] * 7 + schedule.weekday[s]
        time = state.week[i] * schedule.channel.shape[0] + s
        word = draw(simulation.seed, state.stream[i], state.member[i], time, choice[i], CANDIDATE)
        topic, quality = candidate(num_topics, word)
        _write_terms(
            simulation.log, i, schedule.channel[s], day, topic, quality, simulation.launches[day],
            organic, response,
        )  # fmt: skip


@driver(
    types.void(
        _FLOATS, LOG, _FLOATS, types.Array(types.uint8, 2, "C"), _FLOATS,
        types.Array(types.int64, 2, "C"), _INT64S, _FLOATS, _FLOATS,
    )
)  # fmt: skip
def _fill_observed_terms(
    obs: Float32,
    log: Log,
    launches: Float32,
    topics: UInt8,
    qualities: Float32,
    slots: Int64,
    choice: Int64,
    organic: Float32,
    response: Float32,
) -> None:
    for i in range(choice.shape[0]):
        opportunity, first = read_opportunity(
            obs[i], i, log, launches, topics.shape[1], slots, 0, 0, 0, np.float32(0)
        )
        read_candidates(obs[i], first, topics[i], qualities[i], launches.shape[1])
        j = choice[i]
        _write_terms(
            log, i, opportunity.channel, opportunity.day, topics[i, j], qualities[i, j],
            launches[i], organic, response,
        )  # fmt: skip
