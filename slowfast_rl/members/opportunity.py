"""A send opportunity as jitted fast policies receive it, and the signatures they must have."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import int64, typeof, types

from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.compile import kernel
from slowfast_rl.members.constants import constants, schedule
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.state import (
    SENDS,
    THIS,
    Lives,
    empty_ledger,
    empty_log,
    empty_state,
)
from slowfast_rl.members.traits import draw_traits


class Opportunity(NamedTuple):
    """One member's send opportunity."""

    row: int  # of the arrays that come with it
    channel: int
    sent: int  # on this channel this week
    slots_left: int  # of this channel this week, this one included
    opted_in: int  # 1 or 0, on this channel
    day: int  # since the member's episode began
    num_candidates: int
    num_topics: int
    seed: int  # this and the next three key random numbers
    stream: int
    member: int
    time: int  # slots since the member's episode began
    flag_threshold: np.float32  # launch intensity from which a candidate carries the flag


@kernel
def opportunity(lives: Lives, i: int, s: int) -> Opportunity:
    """Return member i's opportunity at slot s."""
    state, plan, w = lives.state, lives.schedule, lives.constants
    c, week = plan.channel[s], int64(state.week[i])
    return Opportunity(
        int64(i),
        int64(c),
        int64(lives.log.by_channel[i, c, SENDS + THIS]),
        int64(plan.slots_left[s]),
        int64(state.opted_in[i, c]),
        week * 7 + plan.weekday[s],
        int64(w.num_candidates),
        int64(w.num_topics),
        lives.seed,
        int64(state.stream[i]),
        int64(state.member[i]),
        week * plan.channel.shape[0] + s,
        w.launch_flag,
    )


@kernel
def seen_chance(seen: Int64, row: int, seed: int, slots: int) -> Opportunity:
    """Return an opportunity as observations show it; candidates are not part of it.

    ``seen`` [7]: channel, sends on it this week, its slots left, whether the member is opted in,
    the slot in the week, the week, the member.
    """
    week = seen[5]
    return Opportunity(
        row, seen[0], seen[1], seen[2], seen[3], week * 7, 1, 1,
        seed, 0, seen[6], week * slots + seen[4], np.float32(0),
    )  # fmt: skip


ROWS = types.Array(types.int32, 2, "C")
WEIGHTS = types.Array(types.float32, 1, "C")
_world = load_world("pronounced")
_matrix = np.zeros((1, 1), np.float32)
_lives = Lives(
    constants(_world),
    schedule(_world),
    empty_state(1, 1),
    draw_traits(_world, 0, np.zeros(1, np.uint32)),
    empty_log(1, 1, 1),
    empty_ledger(1),
    _matrix,
    0,
    False,
)
LIVES = typeof(_lives)
_OPPORTUNITY = typeof(Opportunity(*(0,) * 12, np.float32(0)))

#: A pacer: (opportunity, rows [N, Q], pacing [W]) -> the least score worth a send now; infinity
#: holds without looking at the candidates, minus infinity sends the best one.
PACER_SIGNATURE = types.float64(_OPPORTUNITY, ROWS, WEIGHTS)
#: A pacer asked about B opportunities at once: (what :func:`seen_chance` reads [B, 7], rows,
#: pacing, seed, slots a week, least scores [B] and probabilities [B] to fill in).
ASK_SIGNATURE = types.void(
    types.Array(types.int64, 2, "C"),
    ROWS,
    WEIGHTS,
    types.int64,
    types.int64,
    types.Array(types.float64, 1, "C"),
    types.Array(types.float64, 1, "C"),
)
#: A ranker: (opportunity, log, launches [days, D], ranking [W]) -> the best candidate, counted from
#: 1, and its score.
RANKER_SIGNATURE = types.Tuple((types.int64, types.float64))(
    _OPPORTUNITY, typeof(_lives.log), typeof(_matrix), WEIGHTS
)
#: A guard: (opportunity, rows [N, Q]) -> whether a send is allowed.
GUARD_SIGNATURE = types.boolean(_OPPORTUNITY, ROWS)


class FastPolicy(NamedTuple):
    """A jitted fast policy; ``rows`` and weights are its own, the driver only passes them on."""

    pace: Callable[..., float]  # compiled with PACER_SIGNATURE
    rank: Callable[..., tuple[int, float]]  # compiled with RANKER_SIGNATURE
    pacing: Float32  # [W] the pacer's parameters
    ranking: Float32  # [W] the ranker's parameters
