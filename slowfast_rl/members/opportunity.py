"""A send opportunity as jitted fast policies receive it, and the signatures of such policies."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numba import int64, typeof, types

from slowfast_rl.members.arrays import Float32, UInt8
from slowfast_rl.members.compile import kernel
from slowfast_rl.members.constants import constants, schedule
from slowfast_rl.members.dynamics import candidate
from slowfast_rl.members.loading import load_world
from slowfast_rl.members.random import CANDIDATE, PACER, draw, lane, philox, uniform
from slowfast_rl.members.state import (
    SENDS,
    THIS,
    SimulationState,
    empty_ledger,
    empty_log,
    empty_state,
)
from slowfast_rl.members.traits import empty_traits


class Opportunity(NamedTuple):
    """One member's send opportunity."""

    row: int  # the member's row in the arrays passed with the opportunity
    channel: int
    sent: int  # sends on this channel this week
    slots_left: int  # slots of this channel left this week, this one included
    opted_in: int  # 1 if the member is opted in to this channel, else 0
    day: int  # days since the member's episode began
    num_candidates: int
    num_topics: int
    seed: int  # the luck seed; with the next three it determines random numbers
    stream: int
    member: int
    time: int  # slots since the member's episode began
    flag_threshold: np.float32  # launch intensity at which a candidate gets the launch flag
    slot: int  # index of the slot in the week


@kernel
def opportunity_at(simulation: SimulationState, i: int, s: int) -> Opportunity:
    """Return member i's opportunity at slot s."""
    state, plan, w = simulation.state, simulation.schedule, simulation.constants
    c, week = plan.channel[s], int64(state.week[i])
    return Opportunity(
        int64(i),
        int64(c),
        int64(simulation.log.by_channel[i, c, SENDS + THIS]),
        int64(plan.slots_left[s]),
        int64(state.opted_in[i, c]),
        week * 7 + plan.weekday[s],
        int64(w.num_candidates),
        int64(w.num_topics),
        simulation.seed,
        int64(state.stream[i]),
        int64(state.member[i]),
        week * plan.channel.shape[0] + s,
        w.launch_flag,
        int64(s),
    )


@kernel
def draw_candidates(opportunity: Opportunity, topics: UInt8, qualities: Float32) -> None:
    """Draw the candidates of an opportunity into topics [K] and qualities [K]."""
    words = philox(
        opportunity.seed, opportunity.stream, opportunity.member, opportunity.time, 0, CANDIDATE
    )
    for j in range(opportunity.num_candidates):
        if j and not j & 3:
            words = philox(
                opportunity.seed,
                opportunity.stream,
                opportunity.member,
                opportunity.time,
                j >> 2,
                CANDIDATE,
            )
        topics[j], qualities[j] = candidate(opportunity.num_topics, lane(words, j & 3))


@kernel
def considered(opportunity: Opportunity, wanted: np.float32, of: np.float32) -> bool:
    """Return whether a send is considered: true with probability min(1, wanted / of)."""
    if wanted >= of:
        return True
    coin = uniform(
        draw(opportunity.seed, opportunity.stream, opportunity.member, opportunity.time, 0, PACER)
    )
    return bool(coin * of < wanted)


PLAN_ROWS = types.Array(types.int32, 2, "C")
WEIGHTS = types.Array(types.float32, 1, "C")
PRONOUNCED = load_world("pronounced")  # the arrays' types are the same in every world
_matrix = np.zeros((1, 1), np.float32)
_simulation = SimulationState(
    constants(PRONOUNCED),
    schedule(PRONOUNCED),
    empty_state(1, 1),
    empty_traits(1, 1, 1),
    empty_log(1, 1, 1),
    empty_ledger(1),
    _matrix,
    0,
    False,
)
SIMULATION = typeof(_simulation)
_OPPORTUNITY = typeof(Opportunity(*(0,) * 12, np.float32(0), 0))

#: A pacer: (opportunity, plan_rows [N, Q], pacing [W]) -> (least score worth a send, wanted, of).
#: With probability min(1, wanted / of) a send is considered, and the best candidate is sent if its
#: score is at least the least score worth a send.
PACER_SIGNATURE = types.Tuple((types.float64, types.float32, types.float32))(
    _OPPORTUNITY, PLAN_ROWS, WEIGHTS
)
TOPICS = types.Array(types.uint8, 1, "C")
LOG = typeof(_simulation.log)
#: A ranker: (opportunity, candidates' topics [K] and qualities [K], log, today's launches [D],
#: ranking [W]) -> (best candidate counted from 1, its score).
RANKER_SIGNATURE = types.Tuple((types.int64, types.float64))(
    _OPPORTUNITY, TOPICS, WEIGHTS, LOG, WEIGHTS, WEIGHTS
)
#: A guard: (opportunity, plan_rows [N, Q]) -> whether a send is allowed.
GUARD_SIGNATURE = types.boolean(_OPPORTUNITY, PLAN_ROWS)


PacerFunction: TypeAlias = Callable[..., tuple[float, np.float32, np.float32]]
RankerFunction: TypeAlias = Callable[..., tuple[int, float]]


class FastPolicy(NamedTuple):
    """A jitted fast policy with its parameters, which the driver passes on unchanged."""

    pace: PacerFunction  # compiled with PACER_SIGNATURE
    rank: RankerFunction  # compiled with RANKER_SIGNATURE
    pacing: Float32  # [W] the pacer's parameters
    ranking: Float32  # [W] the ranker's parameters
