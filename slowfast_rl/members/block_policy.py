"""Pacers, rankers and guards for a block of members, and the forms of those written for one member.

A *block form* computes what the scalar function computes, with the same bits, for many members at
once, so that the compiler can vectorise it. ``block_form`` declares one; a function without one is
called for one member after another.
"""

from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from numba import int64, typeof, types

from slowfast_rl.members.arrays import Float32, Float64, Int32, Integer, UInt8, UInt32
from slowfast_rl.members.compile import Driver, driver, kernel
from slowfast_rl.members.opportunity import (
    GUARD_SIGNATURE,
    LOG,
    PACER_SIGNATURE,
    PLAN_ROWS,
    RANKER_SIGNATURE,
    WEIGHTS,
    Opportunity,
)
from slowfast_rl.members.scratch import byte_lane, double_lane, float_lane, word_lane
from slowfast_rl.members.state import Log

F = TypeVar("F", bound=Callable[..., Any])


class Opportunities(NamedTuple):
    """The send opportunities of L members at one slot, in the first L elements of each array."""

    size: int  # L
    channel: int
    slots_left: int  # slots of this channel left this week, this one included
    weekday: int
    slot: int
    slots_per_week: int
    num_candidates: int
    num_topics: int
    seed: int  # the luck seed
    flag_threshold: np.float32
    row: UInt32  # the members' rows in the population's arrays
    member: UInt32
    stream: UInt32
    week: Int32
    sent: UInt32  # sends on this channel this week
    opted_in: UInt32  # 1 if the member is opted in to this channel, else 0


@kernel
def opportunity_of(opportunities: Opportunities, number: Integer) -> Opportunity:
    """Return one of the opportunities as scalar functions receive it."""
    week = int64(opportunities.week[number])
    return Opportunity(
        int64(opportunities.row[number]),
        int64(opportunities.channel),
        int64(opportunities.sent[number]),
        int64(opportunities.slots_left),
        int64(opportunities.opted_in[number]),
        week * 7 + opportunities.weekday,
        int64(opportunities.num_candidates),
        int64(opportunities.num_topics),
        opportunities.seed,
        int64(opportunities.stream[number]),
        int64(opportunities.member[number]),
        week * opportunities.slots_per_week + opportunities.slot,
        opportunities.flag_threshold,
        opportunities.slot,
    )


_WORDS, _NUMBERS = np.zeros(1, np.uint32), np.zeros(1, np.int32)
OPPORTUNITIES = typeof(
    Opportunities(*(0,) * 9, np.float32(0), *(_WORDS,) * 3, _NUMBERS, *(_WORDS,) * 2)
)
CALENDAR = types.Array(types.float32, 2, "C")
_TOPICS, _QUALITIES = types.Array(types.uint8, 2, "C"), types.Array(types.float32, 2, "C")
_DOUBLES, _FLOATS = types.Array(types.float64, 1, "C"), types.Array(types.float32, 1, "C")
_ACTIONS = types.Array(types.uint32, 1, "C")

#: (opportunities, the scalar pacer, plan_rows [N, Q], pacing [W], then [L] filled with: the least
#: score worth a send, wanted, of).
PACER_BLOCK = types.void(
    OPPORTUNITIES, types.FunctionType(PACER_SIGNATURE), PLAN_ROWS, WEIGHTS,
    _DOUBLES, _FLOATS, _FLOATS,
)  # fmt: skip
#: (opportunities, the scalar ranker, candidates' topics [K, L] and qualities [K, L], log, launches
#: [days, D], ranking [W], then [L] filled with: the best candidate from 1, its score).
RANKER_BLOCK = types.void(
    OPPORTUNITIES, types.FunctionType(RANKER_SIGNATURE), _TOPICS, _QUALITIES, LOG, CALENDAR,
    WEIGHTS, _ACTIONS, _DOUBLES,
)  # fmt: skip
#: (opportunities, the scalar guard, plan_rows [N, Q], then [L] filled with: 1 if it allows a
#: send).
GUARD_BLOCK = types.void(OPPORTUNITIES, types.FunctionType(GUARD_SIGNATURE), PLAN_ROWS, _ACTIONS)

_FORMS: dict[Any, Any] = {}


def block_form(scalar: Any, signature: Any) -> Callable[[F], F]:
    """Compile a function as the block form of a scalar pacer, ranker or guard.

    Args:
        scalar: the compiled scalar function, which must give the same bits.
        signature: ``PACER_BLOCK``, ``RANKER_BLOCK`` or ``GUARD_BLOCK``.
    """

    def decorate(function: F) -> F:
        form = driver(signature)(function)
        _FORMS[scalar] = form
        return form

    return decorate


def _pace_block(
    opportunities: Opportunities,
    pace: Any,
    plan_rows: Int32,
    pacing: Float32,
    least: Float64,
    wanted: Float32,
    of: Float32,
) -> None:
    """Pace a block with the scalar pacer ``_scalar``, see :func:`vectorised`."""
    price, want, share = double_lane(), float_lane(), float_lane()
    for k in range(opportunities.size):
        opportunity = opportunity_of(opportunities, k)
        price[k], want[k], share[k] = _scalar(opportunity, plan_rows, pacing)
    for k in range(opportunities.size):
        least[k], wanted[k], of[k] = price[k], want[k], share[k]


def _guard_block(opportunities: Opportunities, guard: Any, plan_rows: Int32, may: UInt32) -> None:
    """Guard a block with the scalar guard ``_scalar``, see :func:`vectorised`."""
    allowed = word_lane()
    for k in range(opportunities.size):
        allowed[k] = _scalar(opportunity_of(opportunities, k), plan_rows)
    for k in range(opportunities.size):
        may[k] = allowed[k]


_scalar: Any = None


def vectorised(scalar: F) -> F:
    """Give a scalar pacer or guard a block form that inlines it into a loop over the block.

    The scalar function must be a driver of ``PACER_SIGNATURE`` or ``GUARD_SIGNATURE``.
    """
    signature = cast(Driver, scalar).signature
    loop = _pace_block if signature == PACER_SIGNATURE else _guard_block
    inlined = {**globals(), "_scalar": kernel(cast(Driver, scalar).py_func)}
    function = FunctionType(loop.__code__, inlined, loop.__name__)
    function.__qualname__ = f"{loop.__name__}.{scalar.__qualname__}"  # by which it is cached
    block_form(scalar, PACER_BLOCK if loop is _pace_block else GUARD_BLOCK)(function)
    return scalar


def block_form_of(scalar: Any, otherwise: Any) -> Any:
    """Return the block form of a scalar function, or ``otherwise`` if it has none."""
    return _FORMS.get(scalar, otherwise)


@driver(PACER_BLOCK)
def pace_each(
    opportunities: Opportunities,
    pace: Any,
    plan_rows: Int32,
    pacing: Float32,
    least: Float64,
    wanted: Float32,
    of: Float32,
) -> None:
    """Call the scalar pacer for one member after another."""
    for k in range(opportunities.size):
        opportunity = opportunity_of(opportunities, k)
        least[k], wanted[k], of[k] = pace(opportunity, plan_rows, pacing)


@driver(RANKER_BLOCK)
def rank_each(
    opportunities: Opportunities,
    rank: Any,
    topics: UInt8,
    qualities: Float32,
    log: Log,
    launches: Float32,
    ranking: Float32,
    actions: UInt32,
    scores: Float64,
) -> None:
    """Call the scalar ranker for one member after another."""
    topic, quality = byte_lane()[: topics.shape[0]], float_lane()[: topics.shape[0]]
    for k in range(opportunities.size):
        opportunity = opportunity_of(opportunities, k)
        for j in range(topics.shape[0]):  # a member's candidates next to each other
            topic[j], quality[j] = topics[j, k], qualities[j, k]
        today = launches[opportunity.day]
        action, scores[k] = rank(opportunity, topic, quality, log, today, ranking)
        actions[k] = action


@driver(GUARD_BLOCK)
def guard_each(opportunities: Opportunities, guard: Any, plan_rows: Int32, may: UInt32) -> None:
    """Call the scalar guard for one member after another."""
    for k in range(opportunities.size):
        may[k] = guard(opportunity_of(opportunities, k), plan_rows)
