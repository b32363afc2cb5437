"""Decisions of pacers and rankers from observations instead of a population.

A service receives rows of ``Messaging-v0``'s observations instead of a running population. A
jitted reader turns each row back into the opportunity, its candidates and the log that the pacer
and the ranker read in the fused driver, so that both make the same decision.
"""

from collections.abc import Callable
from threading import local
from typing import NamedTuple

import numpy as np
from numba import types

from slowfast_rl.members.arrays import Bool, Float32, Float64, Int32, Int64, Integer, UInt8
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.members.compile import (
    driver,
    entry_point,
    function_at,
    kernel,
    machine_code_of,
)
from slowfast_rl.members.features import per_world
from slowfast_rl.members.observations import read_candidates, read_weekly
from slowfast_rl.members.opportunity import (
    LOG,
    PACER_SIGNATURE,
    PLAN_ROWS,
    RANKER_SIGNATURE,
    WEIGHTS,
    Opportunity,
    considered,
)
from slowfast_rl.members.state import (
    CHANNEL_COLUMNS,
    SENDS,
    THIS,
    TOPIC_COLUMNS,
    WINDOWS,
    Log,
)
from slowfast_rl.members.world import World
from slowfast_rl.policies.columns import columns, opted_in_columns, slots_of_week
from slowfast_rl.policies.contracts import BaseExecutor, BasePacer, BaseRanker, Choice
from slowfast_rl.policies.day_weights import day_weights
from slowfast_rl.policies.guard import guarded, pack_plans
from slowfast_rl.policies.plan_reader import PlanReader, Reading
from slowfast_rl.store import PacingPlan

SOURCES = ("plan", "remembered", "safe")  # of the plan in force, by their names in logs
_FLOATS = types.Array(types.float32, 2, "C")
_BYTES = types.Array(types.uint8, 2, "C")
_INT64S = types.Array(types.int64, 1, "C")
GIVEN = (  # pacer, ranker, observations, what they are read into, slots, plans, parameters
    types.int64, types.int64, _FLOATS, LOG,
    _FLOATS, _BYTES, _FLOATS, types.Array(types.int64, 2, "C"), PLAN_ROWS, WEIGHTS, WEIGHTS,
)  # fmt: skip
pacer_at, ranker_at = function_at(PACER_SIGNATURE), function_at(RANKER_SIGNATURE)


class Observed(NamedTuple):
    """Arrays that the jitted reader fills from observations [B, F]."""

    log: Log  # [B, ...] what pacers and rankers read
    launches: Float32  # [B, D] today's launch intensities
    topics: UInt8  # [B, K] topics of the candidates
    qualities: Float32  # [B, K]


def decide(
    world: World,
    executor: BaseExecutor,
    reader: PlanReader,
    obs: Float32,
    entity_ids: Int64,
    times: Int64,
    seed: int,
    write_missing: Callable[[Bool], None] | None = None,
) -> tuple[Reading, Choice]:
    """Return the plans in force and the executor's actions.

    Args:
        world: the world, for the layout of observations.
        executor: the fast policy.
        reader: the reader of plans.
        obs: [B, F] observations of ``Messaging-v0``.
        entity_ids: [B] member ids, all different.
        times: [B] simulated seconds.
        seed: seed of the pacer's coins.
        write_missing: as in :meth:`PlanReader.read_plans_in_force`.
    """
    obs = np.ascontiguousarray(obs, np.float32)
    reading = reader.read_plans_in_force(entity_ids, times, write_missing)
    plan = reading.plan  # in new arrays
    entry_point(_make_feasible)(obs, opted_in_columns(world), plan.target, plan.cap)
    return reading, executor.choose(world, obs, plan, entity_ids, times, seed)


def sources(reading: Reading, weeks: Int64) -> list[str]:
    """Return the source of each plan in force, [B] names of ``SOURCES``.

    Args:
        reading: the plans in force of B members.
        weeks: [B] the week of each member.
    """
    earlier = reading.plan.week < weeks  # a safe plan has the number of this week
    number = np.where(reading.settled, 0, np.where(earlier, 1, 2))
    return [SOURCES[i] for i in number]


def choose_candidates(
    world: World,
    pacer: BasePacer,
    ranker: BaseRanker,
    obs: Float32,
    plan: PacingPlan,
    entity_ids: Int64,
    times: Int64,
    seed: int,
) -> Choice:
    """Return the decisions of a pacer and a ranker for each of B members.

    Args:
        world: the world.
        pacer: the pacer.
        ranker: the ranker.
        obs: [B, F] observations of ``Messaging-v0``.
        plan: the plans in force, [B].
        entity_ids: [B] member ids.
        times: [B] simulated seconds; ids, weeks and the seed determine the coins.
        seed: seed of the pacer's coins.

    Raises:
        ValueError: a plan's shape depends on launches, which observations do not show, or the
            ranker learned in a world with other channels.
    """
    ranker.check_world(world)
    size = len(obs)
    choice = Choice(np.empty(size, np.int64), np.empty(size))
    pacing = pacer.pacing(world, observed_weights(world, obs, plan.shape))
    entry_point(_decide)(
        machine_code_of(pacer.function),
        machine_code_of(ranker.function),
        np.ascontiguousarray(obs, np.float32),
        *empty_observed(world, size),
        slots_of_week(world),
        pack_plans(plan.target, plan.cap, plan.shape),
        pacing,
        ranker.weights,
        np.ascontiguousarray(entity_ids, np.int64),
        np.ascontiguousarray(times, np.int64),
        int(seed),
        np.float32(world.launches.flag_threshold),
        *choice,
    )
    return choice


@per_world
def _kept(world: World) -> local:
    return local()


def empty_observed(world: World, size: int) -> Observed:
    """Return arrays to fill; each thread reuses those of a single opportunity."""
    kept = _kept(world)
    if size == 1 and hasattr(kept, "observed"):
        found: Observed = kept.observed
        return found
    made = _new_observed(world, size)
    if size == 1:
        kept.observed = made
    return made


def _new_observed(world: World, size: int) -> Observed:
    shape = size, len(world.channels), CHANNEL_COLUMNS
    return Observed(
        Log(
            np.empty((size, WINDOWS), np.float32),
            np.empty(shape, np.float32),
            np.empty((size, world.num_topics, TOPIC_COLUMNS), np.float32),
        ),
        np.empty((size, world.num_topics), np.float32),
        np.empty((size, world.num_candidates), np.uint8),
        np.empty((size, world.num_candidates), np.float32),
    )


def observed_weights(world: World, obs: Float32, shape: Int32) -> Float32 | None:
    """Return the day weights of the plans' shapes, [B, 7], or None where all are uniform."""
    if not world.shapes:
        return None
    for number, offered in enumerate(world.shapes, start=1):
        if offered.launch and (shape == number).any():
            raise ValueError(
                f"shape {offered.name!r} depends on the week's launches, which observations do not"
                " show; allowed are shapes with launch 0"
            )
    no_launches = np.zeros((7, 1), np.float32)
    viewing = obs[:, columns(world)["viewing_days_mean_4_weeks"]]
    return day_weights(world, shape, no_launches, np.zeros(len(obs), np.int32), viewing)


@driver(types.void(_FLOATS, _INT64S, PLAN_ROWS, PLAN_ROWS))
def _make_feasible(obs: Float32, opted_in: Int64, target: Int32, cap: Int32) -> None:
    """Set targets and caps [B, C] to 0 on channels left, as ``opted_in`` [C] columns show."""
    for i in range(obs.shape[0]):
        for c in range(opted_in.shape[0]):
            if not obs[i, opted_in[c]] > np.float32(0.5):
                target[i, c] = cap[i, c] = 0


@kernel
def _channel_of(row: Float32, first: Integer, num_channels: Integer) -> int:
    """Return the channel with the largest flag among the columns from ``first`` on."""
    channel = 0
    for c in range(1, num_channels):
        if row[first + c] > row[first + channel]:
            channel = c
    return channel


@kernel
def read_opportunity(
    row: Float32,
    i: Integer,
    log: Log,
    launches: Float32,
    num_candidates: Integer,
    slots: Int64,
    seed: int,
    member: int,
    week: Integer,
    flag_threshold: np.float32,
) -> tuple[Opportunity, int]:
    """Read an observation into row i of the log, and return its opportunity.

    Returns:
        the opportunity, and the column where its candidates begin.
    """
    num_channels, num_slots = slots.shape[0], slots.shape[1] - 1
    weekly = read_weekly(row, log, launches, i)
    k = weekly.next
    day = weekly.week * 7 + np.int64(row[k])
    channel = _channel_of(row, k + 1, num_channels)
    # Kernels use these numbers as indices, so they are clipped to the values that can occur.
    left = min(max(np.int64(row[k + 1 + num_channels]), 0), slots[channel, 0])
    slot = slots[channel, left] if left else 0
    opportunity = Opportunity(
        int(i),
        channel,
        max(int(log.by_channel[i, channel, SENDS + THIS]), 0),
        int(left),
        int(row[weekly.opted_in + channel * weekly.per_channel] > np.float32(0.5)),
        int(day),
        int(num_candidates),
        launches.shape[1],
        seed,
        0,
        member,
        int(week * num_slots + slot),
        flag_threshold,
        int(slot),
    )
    return opportunity, k + 2 + num_channels


@driver(
    types.void(
        *GIVEN,
        _INT64S,
        _INT64S,
        types.int64,
        types.float32,
        types.Array(types.int64, 1, "C"),
        types.Array(types.float64, 1, "C"),
    )
)
def _decide(
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
    members: Int64,
    times: Int64,
    seed: int,
    flag_threshold: np.float32,
    actions: Int64,
    propensity: Float64,
) -> None:
    pace, rank = pacer_at(pacer), ranker_at(ranker)
    for i in range(actions.shape[0]):
        row = obs[i]
        opportunity, first = read_opportunity(
            row, i, log, launches, topics.shape[1], slots, seed, members[i],
            times[i] // WEEK_SECONDS, flag_threshold,
        )  # fmt: skip
        actions[i], propensity[i] = 0, 1.0
        if not guarded(opportunity, plans):
            continue
        least, wanted, of = pace(opportunity, plans, pacing)
        if not wanted > 0:
            continue
        share = min(max(float(wanted / of), 0.0), 1.0)
        send = considered(opportunity, wanted, of)
        if not send and least == -np.inf:  # any score would do
            propensity[i] = 1.0 - share
            continue
        read_candidates(row, first, topics[i], qualities[i], launches.shape[1])
        best, score = rank(opportunity, topics[i], qualities[i], log, launches[i], ranking)
        if score < least:
            continue  # whatever the coin shows
        actions[i], propensity[i] = (best, share) if send else (0, 1.0 - share)
