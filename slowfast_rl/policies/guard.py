"""The guard, which enforces caps and opt-ins in environments, training and serving."""

from functools import cache

import numpy as np
from numba import types
from numpy.typing import NDArray

from slowfast_rl.members.arrays import Bool, Float32, Int8, Int32, Int64, UInt8, UInt32
from slowfast_rl.members.block_policy import vectorised
from slowfast_rl.members.compile import driver, kernel
from slowfast_rl.members.opportunity import GUARD_SIGNATURE, PLAN_ROWS, Opportunity
from slowfast_rl.members.population import Population
from slowfast_rl.members.state import SENDS, THIS

NO_CAP = np.iinfo(np.int32).max


@kernel
def allowed(sent: float, cap: int, opted_in: int) -> bool:
    """Return whether one more send is within this week's cap and the member is opted in."""
    return opted_in != 0 and sent < cap


@kernel
def target_of(plan_rows: Int32, row: int, channel: int) -> int:
    """Return the target of a channel in a plan row; see :func:`pack_plans`."""
    return int(plan_rows[np.uint64(row), np.uint64(2 * channel)])


@kernel
def cap_of(plan_rows: Int32, row: int, channel: int) -> int:
    """Return the cap of a channel in a plan row."""
    return int(plan_rows[np.uint64(row), np.uint64(2 * channel + 1)])


@kernel
def guarded(opportunity: Opportunity, plan_rows: Int32) -> bool:
    """Return whether the plan row allows a send now."""
    return allowed(
        opportunity.sent,
        cap_of(plan_rows, opportunity.row, opportunity.channel),
        opportunity.opted_in,
    )


@vectorised
@driver(GUARD_SIGNATURE)
def guard(opportunity: Opportunity, plan_rows: Int32) -> bool:
    """Return whether the plan row allows a send now; drivers ask before every send."""
    return guarded(opportunity, plan_rows)


@driver(
    types.void(
        types.Array(types.float32, 1, "A"),
        types.Array(types.int32, 1, "A"),
        types.Array(types.uint8, 1, "A"),
        types.Array(types.uint8, 1, "C"),
    )
)
def _fill_may_send(sent: Float32, cap: Int32, opted_in: UInt8, may: UInt8) -> None:
    for i in range(may.shape[0]):
        may[i] = allowed(sent[i], cap[i], opted_in[i])


@driver(
    types.void(
        types.Array(types.uint32, 1, "C"),
        types.Array(types.int64, 1, "C"),
        types.Array(types.float32, 3, "C"),
        types.Array(types.uint8, 2, "C"),
        PLAN_ROWS,
        types.Array(types.uint8, 1, "C"),
    )
)
def _fill_may_send_now(
    channels: UInt32, slots: Int64, logged: Float32, opted_in: UInt8, rows: Int32, may: UInt8
) -> None:
    for i in range(may.shape[0]):
        c = channels[slots[i]]
        cap, sent = cap_of(rows, i, c), 0.0
        if cap != NO_CAP:  # the log is far away in memory
            sent = float(logged[i, c, SENDS + THIS])
        may[i] = allowed(sent, cap, opted_in[i, c])


@driver(types.void(types.Array(types.uint8, 1, "C"), types.Array(types.int8, 2, "C")))
def _fill_mask(may: UInt8, mask: Int8) -> None:
    for i in range(may.shape[0]):
        row = mask[i]
        row[0] = 1
        for k in range(1, row.shape[0]):
            row[k] = may[i]


@driver(types.void(types.Array(types.uint8, 1, "C"), types.Array(types.int64, 1, "C")))
def _hold_forbidden(may: UInt8, actions: Int64) -> None:
    """Replace forbidden sends [N] by holds; turn ``may`` [N] into which these were."""
    for i in range(may.shape[0]):
        forbidden = (actions[i] > 0) & (may[i] == 0)
        actions[i] = 0 if forbidden else actions[i]
        may[i] = forbidden


def may_send(sent: Float32 | Int32, cap: Int32, opted_in: NDArray[np.bool_ | np.number]) -> Bool:
    """Return whether the guard allows each of B members one more send on a channel, [B].

    Args:
        sent: [B] sends of this week on the channel.
        cap: [B] the plan's cap on the channel.
        opted_in: [B] 0 where the member left the channel.

    Raises:
        ValueError: the arguments differ in length.
    """
    if not sent.shape == cap.shape == opted_in.shape == (len(sent),):
        raise ValueError(
            f"sent, cap and opted_in have shapes {sent.shape}, {cap.shape} and {opted_in.shape};"
            " one length for all is allowed"
        )
    may = np.empty(len(sent), np.uint8)
    _fill_may_send(
        sent.astype(np.float32, copy=False),
        cap.astype(np.int32, copy=False),
        opted_in.astype(np.uint8, copy=False),
        may,
    )
    return may.view(np.bool_)


def may_send_now(population: Population, plan_rows: Int32) -> Bool:
    """Return whether the guard allows a send at each member's slot, [N].

    Args:
        population: the members.
        plan_rows: [N, 2 C + 1] plans in force.
    """
    simulation, may = population.simulation, np.empty(population.num_members, np.uint8)
    _fill_may_send_now(
        simulation.schedule.channel,
        population.slots,
        simulation.log.by_channel,
        simulation.state.opted_in,
        np.ascontiguousarray(plan_rows, np.int32),
        may,
    )
    return may.view(np.bool_)


def action_mask(population: Population, plan_rows: Int32) -> Int8:
    """Return 1 for actions that the guard allows at this slot, else 0, [N, 1 + K].

    Holding is always allowed.

    Args:
        population: the members.
        plan_rows: [N, 2 C + 1] plans in force.
    """
    mask = np.empty((population.num_members, 1 + population.world.num_candidates), np.int8)
    _fill_mask(may_send_now(population, plan_rows).view(np.uint8), mask)
    return mask


def hold_forbidden(population: Population, plan_rows: Int32, actions: Int64) -> Bool:
    """Replace sends that the guard forbids at this slot by holds, and return which these were, [N].

    Args:
        population: the members.
        plan_rows: [N, 2 C + 1] plans in force.
        actions: [N] 0 holds; changed in place.
    """
    forbidden = may_send_now(population, plan_rows)
    _hold_forbidden(forbidden.view(np.uint8), actions)
    return forbidden


def pack_plans(target: Int32, cap: Int32, shape: Int32 | int = 0) -> Int32:
    """Return plans as an array for the drivers, [N, 2 C + 1].

    A row holds (target, cap) of each channel, followed by the shape.

    Args:
        target: [N, C] intended sends in the week.
        cap: [N, C] largest number of sends in the week.
        shape: pacing shape id, a scalar or [N].
    """
    plan_rows = np.empty((len(target), 2 * target.shape[1] + 1), np.int32)
    plan_rows[:, 0:-1:2], plan_rows[:, 1:-1:2], plan_rows[:, -1] = target, cap, shape
    return plan_rows


@cache
def _feasible_by_pattern(plans: bytes, num_channels: int) -> Bool:
    """Return feasibility [2^C, O] by opt-in pattern, channel c being bit c."""
    menu = np.frombuffer(plans, np.int32).reshape(-1, num_channels)
    patterns = np.arange(2**num_channels)[:, None] >> np.arange(num_channels) & 1
    feasible: Bool = np.all((menu[None] == 0) | (patterns[:, None] == 1), axis=2)
    return feasible


def feasible_plans(plans: Int32, opted_in: Bool) -> Bool:
    """Return which plans have target 0 on every channel that the member has left, [N, O].

    Args:
        plans: [O, C] targets.
        opted_in: [N, C].
    """
    num_channels = plans.shape[1]
    pattern = opted_in @ (1 << np.arange(num_channels))
    feasible: Bool = _feasible_by_pattern(plans.tobytes(), num_channels)[pattern]
    return feasible


def plan_ceiling(plans: Int32) -> Int32:
    """Return the largest target of each channel in the menu, [C], which bounds stored plans.

    Args:
        plans: [O, C] targets.
    """
    ceiling: Int32 = plans.max(axis=0)
    return ceiling


def below_ceiling(sends: Int32, ceiling: Int32) -> Int32:
    """Return targets or caps [N, C] of stored plans, cut to 0 to the ceiling [C].

    A row of a store may hold anything, so that its numbers are no permission to send more than the
    largest plan of the menu does.
    """
    if (sends.view(np.uint32) <= ceiling).all():  # negative numbers are large ones
        return sends
    return np.clip(sends, 0, ceiling)


def feasible_target(target: Int32, opted_in: Bool) -> Int32:
    """Return targets [N, C] with 0 on every channel the member has left."""
    return np.where(opted_in, target, 0).astype(np.int32, copy=False)
