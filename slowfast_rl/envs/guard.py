"""The guard: the one place that enforces caps and opt-ins, for envs, learners and serving alike."""

from functools import cache

import numpy as np
from numba import types

from slowfast_rl.members.arrays import Bool, Int8, Int32
from slowfast_rl.members.compile import driver, kernel
from slowfast_rl.members.opportunity import GUARD_SIGNATURE, ROWS, Opportunity
from slowfast_rl.members.population import Population

_INT8S = types.Array(types.int8, 2, "C")
_BOOLS = types.Array(types.uint8, 2, "C")
NO_CAP = np.iinfo(np.int32).max


@kernel
def allowed(sent: int, cap: int, opted_in: int) -> bool:
    """Return whether one more send keeps this week's cap and reaches an opted-in member."""
    return opted_in != 0 and sent < cap


@kernel
def target_of(rows: Int32, row: int, channel: int) -> int:
    """Return the target in a plan row, (target, cap) per channel, then the shape."""
    return rows[row, 2 * channel]


@driver(GUARD_SIGNATURE)
def guard(chance: Opportunity, rows: Int32) -> bool:
    """Return whether the plan row allows a send now; drivers ask before every send."""
    return allowed(chance.sent, rows[chance.row, 2 * chance.channel + 1], chance.opted_in)


@driver(types.void(ROWS, types.int64, ROWS, _BOOLS, _INT8S))
def _fill_mask(sent: Int32, channel: int, rows: Int32, opted_in: Bool, mask: Int8) -> None:
    for i in range(mask.shape[0]):
        may = allowed(sent[i, channel], rows[i, 2 * channel + 1], opted_in[i, channel])
        mask[i, 0] = 1
        mask[i, 1:] = may


def plan_rows(target: Int32, cap: Int32, shape: Int32 | int = 0) -> Int32:
    """Return plans as drivers take them: [N, 2 C + 1], (target, cap) per channel, then the shape."""
    rows = np.empty((len(target), 2 * target.shape[1] + 1), np.int32)
    rows[:, 0:-1:2], rows[:, 1:-1:2], rows[:, -1] = target, cap, shape
    return rows


def action_mask(population: Population, rows: Int32) -> Int8:
    """Return which actions the guard allows at this slot, [N, 1 + K], 0 or 1; holding always is.

    Args:
        population: the members.
        rows: [N, 2 C + 1] plans in force.
    """
    channel = population.world.schedule[population.slot].channel
    mask = np.empty((population.num_members, 1 + population.world.num_candidates), np.int8)
    opted_in = population.lives.state.opted_in
    _fill_mask(population.sent_this_week, channel, rows, opted_in, mask)
    return mask


@cache
def _feasible_by_pattern(plans: bytes, num_channels: int) -> Bool:
    """Return feasibility [2^C, O] by opt-in pattern, channel c being bit c."""
    menu = np.frombuffer(plans, np.int32).reshape(-1, num_channels)
    patterns = np.arange(2**num_channels)[:, None] >> np.arange(num_channels) & 1
    return ~np.any((menu[None] > 0) & (patterns[:, None] == 0), axis=2)


def feasible_plans(plans: Int32, opted_in: Bool) -> Bool:
    """Return which plans leave alone every channel the member has left, [N, O].

    Args:
        plans: [O, C] targets.
        opted_in: [N, C].
    """
    num_channels = plans.shape[1]
    pattern = opted_in @ (1 << np.arange(num_channels))
    return _feasible_by_pattern(plans.tobytes(), num_channels)[pattern]


def feasible_target(target: Int32, opted_in: Bool) -> Int32:
    """Return targets [N, C] with 0 on every channel the member has left."""
    return np.where(opted_in, target, 0).astype(np.int32)
