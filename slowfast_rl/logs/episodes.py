"""A log as episodes of both levels: what offline reinforcement learning reads."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from slowfast_rl.logs.histories import MemberHistories
from slowfast_rl.logs.reading import EventLog
from slowfast_rl.logs.schema import EVENTS
from slowfast_rl.logs.weekly_log import WeeklyLog
from slowfast_rl.members.arrays import Bool, Float32, Float64, Int64
from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.members.world import World


class Episode(NamedTuple):
    """T steps of one member, in the layout of Gymnasium's environments."""

    member: int
    observations: Float32  # [T + 1, F]; the last one is 0 if the member churned
    actions: Int64  # [T]
    rewards: Float64  # [T] in viewing days
    churned: (
        bool  # in the last step: the episode is terminated; otherwise the log ends, or has a gap
    )


def weekly_rewards(world: World, weeks: WeeklyLog) -> Float64:
    """Return the utility of each week by what is logged, in viewing days, [T, N].

    The weights are the world's. Its reward counts the opens that a message caused; a log shows all
    opens, which get the same weight.
    """
    reward = world.reward
    found: Float64 = (
        reward.viewing_day * weeks.viewing_days.astype(np.float64)
        + reward.causal_open * weeks.opens.sum(axis=2, dtype=np.float64)
        - reward.opt_out * weeks.opt_outs.sum(axis=2, dtype=np.float64)
        - reward.message_cost * weeks.sends.sum(axis=2, dtype=np.float64)
        - reward.churn * weeks.churned
    )
    return found


def weekly_episodes(log: EventLog) -> Iterator[Episode]:
    """Yield the weeks of each member: observations of ``Pacing-v0``, and plans as actions.

    Weeks whose plan is unknown or not on the menu are gaps, at which an episode ends and perhaps
    another one begins.
    """
    for name in log.part_names:
        histories = MemberHistories(log, log.part(name))
        table = histories.table
        rewards = weekly_rewards(log.world, table)
        seen = np.stack([replay.weekly_observations() for replay in histories.replay()])
        known = table.alive & (table.plans >= 0)
        for i, member in enumerate(table.members.tolist()):
            for first, end in _runs(known[:, i]):
                churned = bool(table.churned[end - 1, i])
                observations = seen[first : end + 1, i].copy()
                observations[-1] *= not churned
                steps = slice(first, end)
                yield Episode(
                    member, observations, table.plans[steps, i], rewards[steps, i], churned
                )


def message_episodes(log: EventLog) -> Iterator[Episode]:
    """Yield the opportunities of each member: observations of ``Messaging-v0``, and its actions.

    What happened is part of the reward of the member's latest decision before it. If the member is
    still there at the log's end, its last opportunity is only the last observation.

    Raises:
        ValueError: the log has no decisions to hold, or lacks what the candidates were.
    """
    for name in log.part_names:
        histories = MemberHistories(log, log.part(name))
        given = histories.part.decisions.columns
        if given["action"].all():
            raise ValueError(
                f"{log.folder} has no decisions to hold; allowed is a log with them, as "
                "mode=export writes with holds=true"
            )
        rows = histories.rows_of(given["member"])
        order = np.lexsort((given["time"], rows))  # of decisions, by member and time
        rewards = _decision_rewards(histories, rows)
        seen: Float32 | None = None
        for found in histories.opportunities():
            if seen is None:
                seen = np.zeros((len(rows), found.observations.shape[1]), np.float32)
            seen[found.rows] = found.observations
        assert seen is not None
        starts = np.searchsorted(rows[order], np.arange(len(histories.members) + 1))
        left: Bool = np.asarray(histories.table.churned.any(axis=0))
        for i, member in enumerate(histories.members.tolist()):
            own, churned = order[starts[i] : starts[i + 1]], bool(left[i])
            steps = own if churned else own[:-1]
            if steps.size:
                last = np.zeros((int(churned), seen.shape[1]), np.float32)
                yield Episode(
                    member, np.concatenate([seen[own], last]),
                    given["action"][steps].astype(np.int64), rewards[steps], churned,
                )  # fmt: skip


Episodes = Callable[[EventLog], Iterator[Episode]]
LEVELS: Mapping[str, Episodes] = MappingProxyType(
    {"weekly": weekly_episodes, "messages": message_episodes}
)


def _runs(known: Bool) -> Iterator[tuple[int, int]]:
    """Yield the first and one past the last week of each run of true weeks."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _decision_rewards(histories: MemberHistories, rows: Int64) -> Float64:
    """Return the utility of each decision by what followed before the member's next one, [B].

    Args:
        histories: the members.
        rows: [B] of the members of the decisions.
    """
    given, reward = histories.part.decisions.columns, histories.log.world.reward
    opened, opted_out = (
        histories.followed(np.arange(len(rows)), event) for event in ("opened", "opted_out")
    )
    sent = given["action"] > 0
    rewards = (
        reward.causal_open * opened.astype(np.float64)
        - reward.opt_out * opted_out.astype(np.float64)
        - reward.message_cost * sent
    )
    span = histories.log.weeks * WEEK_SECONDS
    key = rows * span + given["time"]
    order = np.argsort(key)
    day, viewer = np.nonzero(histories.viewed)
    second = histories.first_view[day, viewer]
    second[second == 0] = DAY_SECONDS - 1  # at an unknown time of the day
    outcomes = histories.part.outcomes.columns
    gone = outcomes["event"] == EVENTS.index("churned")
    for who, time, weight in (
        (viewer, day * DAY_SECONDS + second, reward.viewing_day),
        (histories.rows_of(outcomes["member"][gone]), outcomes["time"][gone], -reward.churn),
    ):
        latest = np.searchsorted(key[order], who * span + time, side="right") - 1
        decision = order[np.maximum(latest, 0)]
        follows = (latest >= 0) & (rows[decision] == who)
        np.add.at(rewards, decision[follows], weight)
    return rewards
