"""The arrays that a simulation changes: hidden state, the company's log, and the week's ledger.

They are NamedTuples of arrays with one row per member, so that kernels can use names and a clone is
a copy of arrays. The constants below name the columns of logs and ledgers.
"""

from typing import Any, NamedTuple, TypeVar

import numpy as np
from numba import types

from slowfast_rl.members.arrays import Float32, Float64, Int8, Int32, UInt8, UInt32
from slowfast_rl.members.constants import Constants, Schedule
from slowfast_rl.members.traits import MemberTraits

NEVER = np.float32(1e6)  # days since a send that never was; with days added, exact in float32

# Windows of a counted event: this week, last week, exponential averages over 4 and 20 weeks.
THIS, LAST, EW4, EW20 = 0, 1, 2, 3
WINDOWS = 4
EW_SHARES = (np.float32(1 / 4), np.float32(1 / 20))  # weight of the newest week

# Log.by_channel: four events in four windows, then totals of weeks after light and heavy weeks.
SENDS, OPENS, DISMISSALS, OPT_OUTS = 0, 4, 8, 12
EVENTS = 4
LIGHT, HEAVY = 16, 19  # each: sends, opens, dismissals
LAST_SENT = 22  # day number of the last send
CHANNEL_COLUMNS = 23
LIGHT_WEEK = np.float32(4)  # a week with at most this many sends, over all channels, is light

# Log.by_topic: sends, opens, day number of the last send.
TOPIC_SENDS, TOPIC_OPENS, TOPIC_LAST_SENT = 0, 1, 2
TOPIC_COLUMNS = 3

# Ledger columns: this week's running sums; the same columns follow for the last completed week.
VIEWS, CAUSAL_OPENS, CHURNED, IGNORED, VETOED = 0, 1, 2, 3, 4
LEDGER_COLUMNS = 5


class State(NamedTuple):
    """The hidden state of members."""

    member: UInt32  # [N] id
    stream: UInt32  # [N] luck stream
    week: Int32  # [N] weeks since the member's episode began
    alive: UInt8  # [N] 0 once churned
    habit: Float32  # [N] H
    goodwill: Float32  # [N] G
    fatigue: Float32  # [N, C] F, effective sends
    opted_in: UInt8  # [N, C] 1 if opted in
    viewed: UInt8  # [N] 1 if the member viewed today
    p_day: Float32  # [N] probability of an organic view today
    organic_slot: Int8  # [N] index in the day of the organic view, -1 for none


class Log(NamedTuple):
    """What a company logs about members."""

    by_member: Float32  # [N, WINDOWS] viewing days
    by_channel: Float32  # [N, C, CHANNEL_COLUMNS]
    by_topic: Float32  # [N, D, TOPIC_COLUMNS]


class SimulationState(NamedTuple):
    """All arrays that kernels read and change when they simulate members."""

    constants: Constants
    schedule: Schedule
    state: State
    traits: MemberTraits
    log: Log
    ledger: Float32  # [N, 2 * LEDGER_COLUMNS]
    launches: Float32  # [days, D] launch intensity of each day
    seed: int  # the luck seed
    sampled: bool  # whether views and causal opens in the ledger are drawn, not expected values


class Events(NamedTuple):
    """The events of one slot per member, each 0 or 1."""

    sent: UInt8  # [N]
    opened: UInt8  # [N]
    dismissed: UInt8  # [N]
    opted_out: UInt8  # [N]
    viewed: UInt8  # [N] the member's first view of the day was in this slot


EVENTS_TYPE = types.NamedUniTuple(types.Array(types.uint8, 1, "C"), len(Events._fields), Events)

T = TypeVar("T", bound=NamedTuple)


def empty_state(num_members: int, num_channels: int) -> State:
    """Return zeroed state arrays."""
    n, c = num_members, num_channels
    return State(
        member=np.zeros(n, np.uint32),
        stream=np.zeros(n, np.uint32),
        week=np.zeros(n, np.int32),
        alive=np.zeros(n, np.uint8),
        habit=np.zeros(n, np.float32),
        goodwill=np.zeros(n, np.float32),
        fatigue=np.zeros((n, c), np.float32),
        opted_in=np.zeros((n, c), np.uint8),
        viewed=np.zeros(n, np.uint8),
        p_day=np.zeros(n, np.float32),
        organic_slot=np.zeros(n, np.int8),
    )


def empty_log(num_members: int, num_channels: int, num_topics: int) -> Log:
    """Return zeroed log arrays."""
    return Log(
        by_member=np.zeros((num_members, WINDOWS), np.float32),
        by_channel=np.zeros((num_members, num_channels, CHANNEL_COLUMNS), np.float32),
        by_topic=np.zeros((num_members, num_topics, TOPIC_COLUMNS), np.float32),
    )


def empty_ledger(num_members: int) -> Float32:
    """Return zeroed ledgers."""
    return np.zeros((num_members, 2 * LEDGER_COLUMNS), np.float32)


def empty_events(num_members: int) -> Events:
    """Return zeroed event arrays."""
    return Events(*(np.zeros(num_members, np.uint8) for _ in Events._fields))


def take_rows(arrays: T, rows: Any) -> T:
    """Return a NamedTuple with copies of some rows of each array, in the given order."""
    taken = {k: np.ascontiguousarray(a[rows]) for k, a in zip(arrays._fields, arrays, strict=True)}
    return arrays._replace(**taken)


def put_rows(arrays: NamedTuple, rows: Any, values: NamedTuple) -> None:
    """Overwrite some rows of each array of a NamedTuple."""
    for array, value in zip(arrays, values, strict=True):
        array[rows] = value


class Week(NamedTuple):
    """The last completed week of each member; zeros for members that churned before it."""

    views: Float32  # [N] viewing days as the reward counts them, expected or sampled
    causal_opens: Float32  # [N] responses to sends, expected or sampled likewise
    viewing_days: Float32  # [N] viewing days as logged
    sends: Float32  # [N, C]
    opens: Float32  # [N, C] as logged
    dismissals: Float32  # [N, C] as logged
    opt_outs: Float32  # [N, C]
    churned: Float32  # [N] 1 if the member churned in that week
    ignored: Float32  # [N] sends on a channel that the member had left, which are not made
    vetoed: Float32  # [N] sends that the guard refused
    reward: Float64  # [N] the utility, in viewing days
