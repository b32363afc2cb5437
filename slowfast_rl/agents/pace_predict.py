"""What a pacer says from observations instead of from a running population."""

from typing import Any, NamedTuple

import numpy as np
from numba import types

from slowfast_rl.envs.columns import columns, opted_in_columns
from slowfast_rl.envs.guard import guard, plan_rows
from slowfast_rl.fast import Executor
from slowfast_rl.members.arrays import Float32, Float64, Int32, Int64
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.members.compile import driver, kernel
from slowfast_rl.members.day_weights import day_weights
from slowfast_rl.members.features import per_world
from slowfast_rl.members.opportunity import (
    GUARD_SIGNATURE,
    ODDS_SIGNATURE,
    PACER_SIGNATURE,
    ROWS,
    WEIGHTS,
    Opportunity,
)
from slowfast_rl.members.world import World
from slowfast_rl.store import PacingPlan


class Pace(NamedTuple):
    """What pacer and guard say of B opportunities."""

    least: Float64  # [B] the least score that is worth a send; infinity where nothing may be sent
    odds: Float64  # [B] the probability, over the pacer's coins, that it was so; 1 without coins


def pace(
    world: World,
    executor: Executor,
    obs: Float32,
    plan: PacingPlan,
    entity_ids: Int64,
    times: Int64,
    seed: int,
) -> Pace:
    """Return what the executor's own pacer and the guard say.

    Coins are keyed by ``seed``, member and slot.

    Args:
        world: the world.
        executor: whose pacer.
        obs: [B, F] observations of ``Messaging-v0``.
        plan: the plans in force, [B].
        entity_ids: [B] member ids.
        times: [B] simulated seconds.
        seed: of the coins.

    Raises:
        ValueError: a plan's shape depends on what observations do not show.
    """
    column, channels, rows = columns(world), world.channels, np.arange(len(obs))
    channel = obs[:, [column[f"slot_is_{c}"] for c in channels]].argmax(axis=1)
    slots_left = obs[:, column["slots_left"]].astype(np.int64)
    chances = np.stack(
        [
            channel,
            obs[:, [column[f"{c}_sends_this_week"] for c in channels]][rows, channel],
            slots_left,
            obs[:, opted_in_columns(world)][rows, channel] > 0.5,
            _slots(world)[channel, slots_left],
            times // WEEK_SECONDS,
            entity_ids,
        ],
        axis=1,
    ).astype(np.int64)
    pacing = executor.pacer.pacing(world, _weights(world, obs, plan.shape))
    least, odds = np.empty(len(obs)), np.ones(len(obs))
    asked = (
        chances,
        plan_rows(plan.target, plan.cap, plan.shape),
        pacing,
        seed,
        world.slots_per_week,
    )
    _ask_pacer(executor.pacer.function, guard, *asked, least)
    if executor.pacer.odds is not None:
        _ask_odds(executor.pacer.odds, guard, *asked, odds)
        odds = np.where(least < np.inf, odds, 1 - odds)
    return Pace(least, odds)


def _weights(world: World, obs: Float32, shape: Int32) -> Float32 | None:
    """Return the day weights of the plans' shapes, [B, 7], or None where all are uniform."""
    for number, offered in enumerate(world.shapes, start=1):
        if offered.launch and (shape == number).any():
            raise ValueError(
                f"shape {offered.name!r} depends on the week's launches, which observations do not"
                " show; allowed are shapes with launch 0"
            )
    no_launches = np.zeros((7, 1), np.float32)
    viewing = obs[:, columns(world)["viewing_days_mean_4_weeks"]]
    return day_weights(world, shape, no_launches, np.zeros(len(obs), np.int32), viewing)


@per_world
def _slots(world: World) -> Int64:
    """Return the slot that is known by its channel and that channel's slots left, [C, S + 1]."""
    slots = np.zeros((len(world.channels), world.slots_per_week + 1), np.int64)
    left = np.zeros(len(world.channels), np.int64)
    for s in range(world.slots_per_week - 1, -1, -1):
        channel = world.schedule[s].channel
        left[channel] += 1
        slots[channel, left[channel]] = s
    return slots


def _asked(signature: Any) -> Any:
    """Return the signature of a driver that asks a jitted function at every opportunity."""
    return types.void(
        types.FunctionType(signature),
        types.FunctionType(GUARD_SIGNATURE),
        types.Array(types.int64, 2, "C"),
        ROWS,
        WEIGHTS,
        types.int64,
        types.int64,
        types.Array(types.float64, 1, "C"),
    )


@kernel
def _chance(seen: Int64, row: int, seed: int, slots: int) -> Opportunity:
    """Return an opportunity as observations show it."""
    week = seen[5]
    return Opportunity(
        row, seen[0], seen[1], seen[2], seen[3], week * 7, 1, 1,
        seed, 0, seen[6], week * slots + seen[4], np.float32(0),
    )  # fmt: skip


@driver(_asked(PACER_SIGNATURE))
def _ask_pacer(
    pace: Any,
    guard: Any,
    chances: Int64,
    rows: Int32,
    pacing: Float32,
    seed: int,
    slots: int,
    least: Float64,
) -> None:
    for i in range(least.shape[0]):
        chance = _chance(chances[i], i, seed, slots)
        least[i] = pace(chance, rows, pacing) if guard(chance, rows) else np.inf


@driver(_asked(ODDS_SIGNATURE))
def _ask_odds(
    odds: Any,
    guard: Any,
    chances: Int64,
    rows: Int32,
    pacing: Float32,
    seed: int,
    slots: int,
    out: Float64,
) -> None:
    for i in range(out.shape[0]):
        chance = _chance(chances[i], i, seed, slots)
        out[i] = odds(chance, rows, pacing) if guard(chance, rows) else 0.0
