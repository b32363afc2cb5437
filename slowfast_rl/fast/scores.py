"""How good the best candidate of an opportunity is, as a ranker scores it."""

from typing import Any

import numpy as np
from numba import types

from slowfast_rl.envs.executor import exact_pace, exact_pacing
from slowfast_rl.envs.guard import plan_rows
from slowfast_rl.fast.executor import Ranker
from slowfast_rl.members.arrays import Float32, Float64, Int32, Int64
from slowfast_rl.members.compile import driver
from slowfast_rl.members.opportunity import (
    LIVES,
    PACER_SIGNATURE,
    RANKER_SIGNATURE,
    ROWS,
    WEIGHTS,
    opportunity,
)
from slowfast_rl.members.population import Population
from slowfast_rl.members.random import Domain, random_words
from slowfast_rl.members.state import Lives
from slowfast_rl.members.world import World


@driver(
    types.void(
        LIVES,
        types.int64,
        types.FunctionType(PACER_SIGNATURE),
        types.FunctionType(RANKER_SIGNATURE),
        ROWS,
        WEIGHTS,
        WEIGHTS,
        types.Array(types.int64, 1, "C"),
        types.Array(types.float64, 1, "C"),
    )
)
def choose_and_score(
    lives: Lives,
    s: int,
    pace: Any,
    rank: Any,
    rows: Int32,
    pacing: Float32,
    ranking: Float32,
    actions: Int64,
    scores: Float64,
) -> None:
    """Fill actions [N] of a jitted policy at slot s, and the best candidates' scores [N]."""
    for i in range(actions.shape[0]):
        chance = opportunity(lives, i, s)
        best, scores[i] = rank(chance, lives.log, lives.launches, ranking)
        actions[i] = best if scores[i] >= pace(chance, rows, pacing) else 0


def best_scores(
    world: World, ranker: Ranker, num_members: int, weeks: int, burn_in: int, seed: int
) -> list[Float64]:
    """Return the best candidate's score at every opportunity of opted-in members, by channel.

    Members live under random plans, paced exactly.

    Args:
        world: the world.
        ranker: whose scores.
        num_members: members of population ``seed``.
        weeks: weeks lived.
        burn_in: weeks at the beginning whose scores are left out.
        seed: of population, luck and plans.
    """
    population = Population(world, num_members, seed, seed)
    plans, pacing, ranking = world.plans, exact_pacing(world), ranker.weights
    actions, scores = np.zeros(num_members, np.int64), np.zeros(num_members)
    found: list[list[Float64]] = [[] for _ in world.channels]
    for week in range(weeks):
        times = np.full(num_members, week)
        words = random_words(seed, 0, population.members, times, Domain.EXPLORATION)
        target = plans[words % len(plans)]
        rows = plan_rows(target, target)
        for slot in world.schedule:
            population.keep_calendar()
            choose_and_score(
                population.lives, population.slot, exact_pace, ranker.function,
                rows, pacing, ranking, actions, scores,
            )  # fmt: skip
            if week >= burn_in:
                counted = population.alive & population.opted_in[:, slot.channel]
                found[slot.channel].append(scores[counted])
            population.step(actions)
    return [np.concatenate([np.zeros(0), *parts]) for parts in found]
