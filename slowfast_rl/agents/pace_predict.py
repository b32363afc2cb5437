"""What a pacer says from observations instead of from a running population."""

from typing import NamedTuple

import numpy as np
from numba import types

from slowfast_rl.envs.columns import columns
from slowfast_rl.envs.guard import plan_rows
from slowfast_rl.fast import Executor
from slowfast_rl.members.arrays import Float32, Float64, Int32, Int64
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.members.compile import driver
from slowfast_rl.members.day_weights import day_weights
from slowfast_rl.members.features import per_world
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
    where, slots = _layout(world)
    chances = np.empty((len(obs), 7), np.int64)
    _fill_chances(np.ascontiguousarray(obs), where, slots, times, entity_ids, chances)
    pacing = executor.pacer.pacing(world, _weights(world, obs, plan.shape))
    answer = Pace(np.empty(len(obs)), np.empty(len(obs)))
    rows = plan_rows(plan.target, plan.cap, plan.shape)
    executor.pacer.ask(chances, rows, pacing, seed, world.slots_per_week, *answer)
    return answer


def _weights(world: World, obs: Float32, shape: Int32) -> Float32 | None:
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


@per_world
def _layout(world: World) -> tuple[Int64, Int64]:
    """Return where observations show an opportunity, and which slot of the week it then is.

    Columns of the slots left, then per channel whether the slot is its, its sends this week and
    its opt-in flag, [1 + 3 C]; the slot by channel and that channel's slots left, [C, S + 1],
    with the channel's slots in a week where none is left.
    """
    column, channels = columns(world), world.channels
    where = [column["slots_left"]]
    for name in ("slot_is_{}", "{}_sends_this_week", "{}_opted_in"):
        where += [column[name.format(channel)] for channel in channels]
    slots = np.zeros((len(channels), world.slots_per_week + 1), np.int64)
    left = np.zeros(len(channels), np.int64)
    for s in range(world.slots_per_week - 1, -1, -1):
        channel = world.schedule[s].channel
        left[channel] += 1
        slots[channel, left[channel]] = s
    slots[:, 0] = left  # the most that a channel can have left
    return np.array(where), slots


@driver(
    types.void(
        types.Array(types.float32, 2, "C"),
        types.Array(types.int64, 1, "C"),
        types.Array(types.int64, 2, "C"),
        types.Array(types.int64, 1, "A", readonly=True),
        types.Array(types.int64, 1, "A", readonly=True),
        types.Array(types.int64, 2, "C"),
    )
)
def _fill_chances(
    obs: Float32, where: Int64, slots: Int64, times: Int64, members: Int64, chances: Int64
) -> None:
    """Fill in what :func:`~slowfast_rl.members.opportunity.seen_chance` reads, [B, 7].

    What no opportunity can show is taken for the nearest that one can: kernels index by it.
    """
    num_channels = slots.shape[0]
    for i in range(obs.shape[0]):
        channel = 0
        for c in range(1, num_channels):
            if obs[i, where[1 + c]] > obs[i, where[1 + channel]]:
                channel = c
        left = min(max(int(obs[i, where[0]]), 0), slots[channel, 0])
        chances[i, 0] = channel
        chances[i, 1] = max(int(obs[i, where[1 + num_channels + channel]]), 0)
        chances[i, 2] = left
        chances[i, 3] = obs[i, where[1 + 2 * num_channels + channel]] > 0.5
        chances[i, 4] = slots[channel, left] if left else 0
        chances[i, 5] = times[i] // WEEK_SECONDS
        chances[i, 6] = members[i]
