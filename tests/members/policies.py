"""Jitted policies that only tests use; in a module of their own, so that their code is cached."""

from functools import cache

import numpy as np

from slowfast_rl.members.arrays import Float32, Int32, UInt8
from slowfast_rl.members.compile import driver
from slowfast_rl.members.numerics import ONE
from slowfast_rl.members.opportunity import (
    GUARD_SIGNATURE,
    PACER_SIGNATURE,
    RANKER_SIGNATURE,
    FastPolicy,
    Opportunity,
)
from slowfast_rl.members.population import Population
from slowfast_rl.members.state import EW4, SENDS, THIS, Log

ZERO = np.float32(0)
SEEN = 8  # numbers that `watch` notes at each opportunity


@driver(PACER_SIGNATURE)
def scripted_pace(
    opportunity: Opportunity, plan_rows: Int32, pacing: Float32
) -> tuple[float, np.float32, np.float32]:
    """Send where the script's action is not 0; the script is [S, then N * S actions]."""
    slots = int(pacing[0])
    sends = pacing[1 + opportunity.row * slots + opportunity.time % slots] != 0
    return -np.inf, ONE if sends else ZERO, ONE


@driver(RANKER_SIGNATURE)
def scripted_rank(
    opportunity: Opportunity,
    topics: UInt8,
    qualities: Float32,
    log: Log,
    launches: Float32,
    ranking: Float32,
) -> tuple[int, float]:
    """Pick the script's action."""
    slots = int(ranking[0])
    return int(ranking[1 + opportunity.row * slots + opportunity.time % slots]), 0.0


@driver(PACER_SIGNATURE)
def indifferent_pace(
    opportunity: Opportunity, plan_rows: Int32, pacing: Float32
) -> tuple[float, np.float32, np.float32]:
    """Let the score decide against the threshold in pacing[0]."""
    return float(pacing[0]), ONE, ONE


@driver(RANKER_SIGNATURE)
def watch(
    opportunity: Opportunity,
    topics: UInt8,
    qualities: Float32,
    log: Log,
    launches: Float32,
    ranking: Float32,
) -> tuple[int, float]:
    """Note in ``ranking`` what is seen at each slot, [slots_so_far, N, SEEN]; then send a first."""
    first = SEEN * (opportunity.time * log.by_member.shape[0] + opportunity.row)
    ranking[first] = opportunity.channel
    ranking[first + 1] = opportunity.sent
    ranking[first + 2] = opportunity.opted_in
    ranking[first + 3] = opportunity.day
    ranking[first + 4] = log.by_member[opportunity.row, THIS]
    ranking[first + 5] = log.by_member[opportunity.row, EW4]
    ranking[first + 6] = log.by_channel[opportunity.row, opportunity.channel, SENDS + THIS]
    ranking[first + 7] = launches[0]
    return 1, 0.0


@driver(GUARD_SIGNATURE)
def allow_all(opportunity: Opportunity, rows: Int32) -> bool:
    """Allow every send."""
    return True


@driver(GUARD_SIGNATURE)
def allow_up_to_rows(opportunity: Opportunity, rows: Int32) -> bool:
    """Allow rows[member, channel] sends a week, to the opted-in."""
    return (
        opportunity.opted_in == 1 and opportunity.sent < rows[opportunity.row, opportunity.channel]
    )


@cache
def no_rows(num_members: int) -> Int32:
    """A policy's integers where it has none."""
    return np.zeros((num_members, 1), np.int32)


def script(actions: np.ndarray) -> FastPolicy:
    """A policy that plays actions [S, N] of one week."""
    flat = np.concatenate([[len(actions)], actions.T.ravel()]).astype(np.float32)
    return FastPolicy(scripted_pace, scripted_rank, flat, flat)


def random_actions(population: Population, weeks: int, seed: int = 0) -> np.ndarray:
    """[weeks, S, M] actions by member id, from never (member 0) to always (the last)."""
    rng = np.random.default_rng(seed)
    slots, most = population.world.slots_per_week, population.world.num_candidates
    shape = (weeks, slots, population.num_members)
    busy = rng.random(shape) < np.linspace(0, 1, population.num_members)
    return np.asarray(busy * rng.integers(1, most + 1, shape))


def play(population: Population, actions: np.ndarray) -> np.ndarray:
    """Step through actions [weeks, S, N] and return the rewards, in the same shape."""
    steps = actions.reshape(-1, population.num_members)
    return np.array([population.step(a)[0] for a in steps]).reshape(actions.shape)


def play_weeks(population: Population, actions: np.ndarray) -> list[np.ndarray]:
    """Run the fused driver through actions [weeks, S, N]; return each week's rewards."""
    rows = no_rows(population.num_members)
    return [population.run_week(script(week), allow_all, rows).reward for week in actions]
