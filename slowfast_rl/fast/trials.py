"""Randomised trials: random candidates are sent or held back, and views of the day are logged."""

from typing import NamedTuple

import numpy as np
from numba import types

from slowfast_rl.fast.uplift_features import (
    CANDIDATE_TERMS,
    MEMBER_TERMS,
    ORGANIC_TERMS,
    candidate_terms,
    member_terms,
    organic_terms,
)
from slowfast_rl.members.arrays import Bool, Float32, Float64, Int64
from slowfast_rl.members.compile import driver
from slowfast_rl.members.dynamics import candidate
from slowfast_rl.members.opportunity import SIMULATION
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import CANDIDATE, Domain, ExplorationStream, draw, random_words
from slowfast_rl.members.state import SimulationState
from slowfast_rl.members.world import World

SEND_SHARE = 0.25  # of opportunities; the same share are trials without a send
_FLOATS = types.Array(types.float32, 2, "C")


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
    n = population.num_members
    organic = np.empty((n, ORGANIC_TERMS), np.float32)
    response = np.empty((n, MEMBER_TERMS + CANDIDATE_TERMS), np.float32)
    _fill_terms(population.simulation, population.slot, choice, organic, response)
    return organic, response


def _trials(
    channel: int, weekday: int, size: int, organic: Float32, response: Float32, sent: Bool
) -> Trials:
    whole = np.full(size, channel), np.full(size, weekday)
    return Trials(*whole, organic, response, sent, np.zeros(size, np.bool_))


@driver(types.void(SIMULATION, types.int64, types.Array(types.int64, 1, "C"), _FLOATS, _FLOATS))
def _fill_terms(
    simulation: SimulationState, s: int, choice: Int64, organic: Float32, response: Float32
) -> None:
    log, state, schedule = simulation.log, simulation.state, simulation.schedule
    num_topics = log.by_topic.shape[1]
    for i in range(choice.shape[0]):
        day = state.week[i] * 7 + schedule.weekday[s]
        time = state.week[i] * schedule.channel.shape[0] + s
        word = draw(simulation.seed, state.stream[i], state.member[i], time, choice[i], CANDIDATE)
        topic, quality = candidate(num_topics, word)
        views, channels, topics = log.by_member[i], log.by_channel[i], log.by_topic[i]
        viewing = organic_terms(views, channels, simulation.launches[day], day)
        for k in range(ORGANIC_TERMS):
            organic[i, k] = viewing[k]
        member = member_terms(views, channels, topics, schedule.channel[s], day)
        for k in range(MEMBER_TERMS):
            response[i, k] = member[k]
        chosen = candidate_terms(topics, topic, quality, simulation.launches[day, topic], day)
        for k in range(CANDIDATE_TERMS):
            response[i, MEMBER_TERMS + k] = chosen[k]
