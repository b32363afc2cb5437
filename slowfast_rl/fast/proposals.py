"""What pacers and rankers would do at opportunities that were observed, before coins are drawn."""

from typing import NamedTuple

import numpy as np
from numba import types

from slowfast_rl.fast.decide import (
    GIVEN,
    empty_observed,
    observed_weights,
    pacer_at,
    ranker_at,
    read_opportunity,
)
from slowfast_rl.members.arrays import Float32, Float64, Int32, Int64, UInt8
from slowfast_rl.members.compile import driver, machine_code_of
from slowfast_rl.members.observations import read_candidates
from slowfast_rl.members.opportunity import WEIGHTS
from slowfast_rl.members.state import Log
from slowfast_rl.members.world import World
from slowfast_rl.policies.columns import columns, slots_of_week
from slowfast_rl.policies.contracts import BasePacer, BaseRanker
from slowfast_rl.policies.executor import exact_pace, exact_pacing, quality_rank
from slowfast_rl.policies.guard import NO_CAP, guarded, pack_plans
from slowfast_rl.store import PacingPlan

_FLOATS = types.Array(types.float32, 2, "C")


class Proposal(NamedTuple):
    """A pacer's conditions and a ranker's scores at B opportunities."""

    considered: Float32  # [B] probability that a send is considered; 0 where the guard forbids it
    least: Float32  # [B] least score worth a send
    scores: Float32  # [B, K] of the candidates


def propose(
    world: World, pacer: BasePacer | None, ranker: BaseRanker | None, obs: Float32
) -> Proposal:
    """Return a pacer's conditions of a send and a ranker's score of each candidate.

    A plan is read from the observation, its cap equal to its target and its shape uniform; where
    the observation shows no plan, nothing is capped.

    Args:
        world: the world.
        pacer: decides when; None for the exact pacer.
        ranker: decides what; None gives every candidate the score 0.
        obs: [B, F] observations of ``Messaging-v0``.

    Raises:
        ValueError: pacer or ranker learned in a world of other channels.
    """
    if ranker is not None:
        ranker.check_world(world)
    size, column = len(obs), columns(world)
    observed = empty_observed(world, size)
    found = Proposal(
        np.zeros(size, np.float32),
        np.zeros(size, np.float32),
        np.zeros(observed.topics.shape, np.float32),
    )
    target = obs[:, [column[f"{c}_plan_target"] for c in world.channels]].astype(np.int32)
    target[obs[:, column["has_plan"]] < 0.5] = NO_CAP
    _propose(
        machine_code_of(exact_pace if pacer is None else pacer.function),
        machine_code_of(quality_rank if ranker is None else ranker.function),
        np.ascontiguousarray(obs, np.float32),
        *observed,
        slots_of_week(world),
        pack_plans(target, target),
        exact_pacing(world) if pacer is None else pacer.pacing(world),
        np.zeros(0, np.float32) if ranker is None else ranker.weights,
        np.float32(world.launches.flag_threshold),
        ranker is not None,
        *found,
    )
    return found


def action_probabilities(
    world: World, pacer: BasePacer, ranker: BaseRanker, obs: Float32, plan: PacingPlan
) -> Float64:
    """Return the probabilities of holding and of sending each candidate, [B, 1 + K].

    A ranker sends its best candidate or none, so that at most one candidate has a probability above
    0. What the guard forbids has the probability 0.

    Args:
        world: the world.
        pacer: decides when.
        ranker: decides what.
        obs: [B, F] observations of ``Messaging-v0``.
        plan: the plans in force, [B].

    Raises:
        ValueError: a plan's shape depends on launches, which observations do not show, or the
            ranker learned in a world with other channels.
    """
    ranker.check_world(world)
    found = np.zeros((len(obs), 1 + world.num_candidates))
    _fill_probabilities(
        machine_code_of(pacer.function),
        machine_code_of(ranker.function),
        np.ascontiguousarray(obs, np.float32),
        *empty_observed(world, len(obs)),
        slots_of_week(world),
        pack_plans(plan.target, plan.cap, plan.shape),
        pacer.pacing(world, observed_weights(world, obs, plan.shape)),
        ranker.weights,
        np.float32(world.launches.flag_threshold),
        found,
    )
    return found


@driver(
    types.void(
        *GIVEN,
        types.float32,
        types.boolean,
        WEIGHTS,
        WEIGHTS,
        _FLOATS,
    )
)
def _propose(
    pacer: int,
    ranker: int,
    obs: Float32,
    log: Log,
    launches: Float32,
    topics: UInt8,
    qualities: Float32,
    slots: Int64,
    plans: Int32,
    pacing: Float32,
    ranking: Float32,
    flag_threshold: np.float32,
    ranked: bool,
    share: Float32,
    least: Float32,
    scores: Float32,
) -> None:
    pace, rank = pacer_at(pacer), ranker_at(ranker)
    for i in range(share.shape[0]):
        row = obs[i]
        opportunity, first = read_opportunity(
            row, i, log, launches, topics.shape[1], slots, 0, 0, 0, flag_threshold
        )
        read_candidates(row, first, topics[i], qualities[i], launches.shape[1])
        if ranked:
            for j in range(topics.shape[1]):
                alone = topics[i, j : j + 1], qualities[i, j : j + 1]
                _, score = rank(opportunity, *alone, log, launches[i], ranking)
                scores[i, j] = score
        if guarded(opportunity, plans):
            price, wanted, of = pace(opportunity, plans, pacing)
            if wanted > 0:
                share[i], least[i] = min(wanted / of, np.float32(1)), price


@driver(types.void(*GIVEN, types.float32, types.Array(types.float64, 2, "C")))
def _fill_probabilities(
    pacer: int,
    ranker: int,
    obs: Float32,
    log: Log,
    launches: Float32,
    topics: UInt8,
    qualities: Float32,
    slots: Int64,
    plans: Int32,
    pacing: Float32,
    ranking: Float32,
    flag_threshold: np.float32,
    probabilities: Float64,
) -> None:
    pace, rank = pacer_at(pacer), ranker_at(ranker)
    for i in range(probabilities.shape[0]):
        row, found = obs[i], probabilities[i]
        opportunity, first = read_opportunity(
            row, i, log, launches, topics.shape[1], slots, 0, 0, 0, flag_threshold
        )
        found[0] = 1.0
        if not guarded(opportunity, plans):
            continue
        least, wanted, of = pace(opportunity, plans, pacing)
        if not wanted > 0:
            continue
        read_candidates(row, first, topics[i], qualities[i], launches.shape[1])
        best, score = rank(opportunity, topics[i], qualities[i], log, launches[i], ranking)
        if score < least:
            continue
        share = min(max(float(wanted / of), 0.0), 1.0)
        found[best], found[0] = share, 1.0 - share
