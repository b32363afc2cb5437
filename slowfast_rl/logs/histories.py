"""What a log says of its members: a table of weeks, and every observation that it leads to."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.logs.joins import check_candidates, check_rows
from slowfast_rl.logs.parquet import TableRows
from slowfast_rl.logs.reading import EventLog, LogPart, menu_index
from slowfast_rl.logs.replay import Replay, Sends
from slowfast_rl.logs.schema import EVENTS
from slowfast_rl.logs.weekly_log import WeeklyLog
from slowfast_rl.members.arrays import Bool, Float32, Int64, UInt8
from slowfast_rl.members.beliefs import BeliefFilter
from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.policies.guard import feasible_target
from slowfast_rl.store import PacingPlan, pacing_plan

_EVENT = {name: code for code, name in enumerate(EVENTS)}
_CANDIDATES = ("topics", "qualities", "launched")  # columns of what an executor chose from


class Opportunities(NamedTuple):
    """B logged opportunities at one slot of one week, as the executor saw them."""

    rows: Int64  # [B] of the table ``decisions`` of the part
    observations: Float32  # [B, F] of ``Messaging-v0``
    plan: PacingPlan  # in force, [B]


class MemberHistories:
    """The histories of the N members of one part of a log.

    Args:
        log: the log.
        part: one of its parts.

    Attributes:
        members: [N] ids in ascending order.
        table: the members' weeks.

    Raises:
        ValueError: some rows belong to no member and week with a plan, or are twice; the check of
            the log names them.
    """

    def __init__(self, log: EventLog, part: LogPart) -> None:
        check_rows(log, part)
        self.log, self.part = log, part
        self.members: Int64 = np.unique(part.plans.columns["member"])
        t, n, c = log.weeks, len(self.members), len(log.world.channels)
        self.table = WeeklyLog(
            members=self.members,
            plans=np.full((t, n), -1, np.int64),
            drawn=np.zeros((t, n), np.bool_),
            propensity=np.full((t, n), np.nan),
            sends=np.zeros((t, n, c), np.float32),
            opens=np.zeros((t, n, c), np.float32),
            dismissals=np.zeros((t, n, c), np.float32),
            opt_outs=np.zeros((t, n, c), np.float32),
            opted_in=np.zeros((t, n, c), np.bool_),
            viewing_days=np.zeros((t, n), np.float32),
            alive=np.zeros((t, n), np.bool_),
            churned=np.zeros((t, n), np.bool_),
            launches=log.launches,
        )
        # [7 T, N] second of the day of the first view, DAY_SECONDS on days without one
        self.first_view: Int64 = np.full((7 * t, n), DAY_SECONDS, np.int64)
        self._fill_plans(part.plans)
        self._fill_outcomes(part.outcomes)
        decisions = part.decisions.columns
        sent = decisions["action"] > 0
        where = decisions["time"][sent] // WEEK_SECONDS, self.rows_of(decisions["member"][sent])
        np.add.at(self.table.sends, (*where, decisions["channel"][sent]), 1)

    @property
    def viewed(self) -> Bool:
        """On which days members viewed, [7 T, N]."""
        found: Bool = self.first_view < DAY_SECONDS
        return found

    def rows_of(self, members: Int64) -> Int64:
        """Return the row of each member, [B]."""
        rows: Int64 = np.searchsorted(self.members, members)
        return rows

    def _keys(self, rows: Int64, times: Int64, channels: Int64) -> Int64:
        """Return a number for each row, time and channel of decisions, [B]."""
        span, num_channels = self.log.weeks * WEEK_SECONDS, len(self.log.world.channels)
        keys: Int64 = (rows * span + times) * num_channels + channels
        return keys

    def _fill_plans(self, plans: TableRows) -> None:
        table, given = self.table, plans.columns
        where = given["week"].astype(np.int64), self.rows_of(given["member"])
        shapes = given.get("shape", np.zeros(plans.size, np.int64))
        table.plans[where] = menu_index(self.log.world, given["target"], np.maximum(shapes, 0))
        table.propensity[where] = given["propensity"]
        table.drawn[where] = given["drawn_week"] == given["week"]
        table.opted_in[where] = given["opted_in"]
        table.alive[where] = True

    def _fill_outcomes(self, outcomes: TableRows) -> None:
        table, given = self.table, outcomes.columns
        time, row, event = given["time"], self.rows_of(given["member"]), given["event"]
        decided, channel = given["decided_at"], given["channel"]
        for name, counts in (
            ("opened", table.opens), ("dismissed", table.dismissals), ("opted_out", table.opt_outs),
        ):  # fmt: skip
            some = event == _EVENT[name]
            # A message may be opened more than once: each send counts once.
            sends = np.unique(self._keys(*(c[some] for c in (row, decided, channel))))
            sends, of_channel = np.divmod(sends, counts.shape[2])
            of_member, at = np.divmod(sends, self.log.weeks * WEEK_SECONDS)
            np.add.at(counts, (at // WEEK_SECONDS, of_member, of_channel), 1)
        viewed, gone = event == _EVENT["viewed"], event == _EVENT["churned"]
        day, second = np.divmod(time[viewed], DAY_SECONDS)
        np.minimum.at(self.first_view, (day, row[viewed]), second)
        weeks = self.viewed.reshape(self.log.weeks, 7, len(self.members))
        table.viewing_days[:] = weeks.sum(axis=1)
        table.churned[time[gone] // WEEK_SECONDS, row[gone]] = True

    def replay(self, belief_filter: BeliefFilter | None = None) -> Iterator[Replay]:
        """Yield the members on the Monday of each week, and after the last one, T + 1 times.

        Args:
            belief_filter: of the planner whose beliefs are wanted.

        Raises:
            ValueError: the log has no topics of the messages that were sent, or unknown ones.
        """
        sends, replay = self.sends(), self._begin(belief_filter)
        ends = np.searchsorted(sends.days, 7 * np.arange(self.log.weeks + 1))
        for week in range(self.log.weeks):
            yield replay
            replay.log_sends(sends.take(slice(ends[week], ends[week + 1])))
            self._end_week(replay, week)
        yield replay

    def opportunities(self) -> Iterator[Opportunities]:
        """Yield the logged opportunities, slot by slot, with the observations of that time.

        Raises:
            ValueError: the log lacks what some candidates were, or a decision is at no slot of the
                schedule.
        """
        given, world = self.part.decisions.columns, self.log.world
        if (self._slots < 0).any():
            raise ValueError(
                f"{self.log.folder} has decisions at times of no slot of their channel; "
                "slowfast-logs mode=check names the rows"
            )
        check_candidates(self.log, self.part, slice(None), _CANDIDATES)
        sends, replay = self.sends(), self._begin(None)
        rows, order, slots = self.rows_of(given["member"]), self._order, self._slots
        numbers = np.arange(self.log.weeks * world.slots_per_week + 1)
        bounds = np.searchsorted(slots[order], numbers)
        sent_by = np.searchsorted(slots[order[given["action"][order] > 0]], numbers)
        for week in range(self.log.weeks):
            targets = world.plans[np.maximum(self.table.plans[week], 0)]
            shapes = world.plan_shapes[np.maximum(self.table.plans[week], 0)]
            for slot in range(world.slots_per_week):
                number = week * world.slots_per_week + slot
                here = order[bounds[number] : bounds[number + 1]]
                if here.size:
                    where = rows[here]
                    # The environments simulate days before the first slot together with it.
                    today = 7 * week + world.schedule[slot].weekday * (slot > 0)
                    viewed = self.first_view[7 * week : today] < DAY_SECONDS
                    replay.set_viewing_days(viewed.sum(axis=0))
                    feasible = feasible_target(targets, replay.opted_in)
                    seen = replay.opportunity_observations(
                        slot, feasible, where, *(given[name][here] for name in _CANDIDATES)
                    )
                    yield Opportunities(
                        here, seen, pacing_plan(feasible[where], week, shape=shapes[where])
                    )
                replay.log_sends(sends.take(slice(sent_by[number], sent_by[number + 1])))
            self._end_week(replay, week)

    def sends(self) -> Sends:
        """Return all sends with what followed from them, in order of time.

        Raises:
            ValueError: the log has no topics of the messages that were sent, or unknown ones.
        """
        given = self.part.decisions.columns
        order = self._order[given["action"][self._order] > 0]
        check_candidates(self.log, self.part, order, ["topics"])
        number = given["action"][order].astype(np.int64) - 1
        topics = given["topics"][order, number].astype(np.int64)
        return Sends(
            self.rows_of(given["member"][order]),
            given["channel"][order].astype(np.int64),
            topics,
            given["time"][order] // DAY_SECONDS,
            *(self.followed(order, name) for name in ("opened", "dismissed", "opted_out")),
        )

    @cached_property
    def _slots(self) -> Int64:
        """[B] number since the log began of each decision's slot; -1 at a time without one."""
        given, schedule = self.part.decisions.columns, self.log.world.schedule
        channels = len(self.log.world.channels)
        week, into = np.divmod(given["time"], WEEK_SECONDS)
        known = [(s.weekday * DAY_SECONDS + s.second) * channels + s.channel for s in schedule]
        sorted_slots = np.argsort(known, kind="stable")
        here = into * channels + given["channel"]
        place = np.searchsorted(np.array(known)[sorted_slots], here)
        place = sorted_slots[np.minimum(place, len(known) - 1)]
        slots: Int64 = np.where(np.array(known)[place] == here, week * len(schedule) + place, -1)
        return slots

    @cached_property
    def _order(self) -> Int64:
        """[B] the decisions in order of time, at the same time in that of the schedule."""
        return np.lexsort((self._slots, self.part.decisions.columns["time"]))

    def followed(self, decisions: Int64, event: str) -> UInt8:
        """Return 1 where an event followed from a decision, else 0, [B].

        Args:
            decisions: [B] rows of the table ``decisions`` of the part.
            event: "opened", "dismissed" or "opted_out".
        """
        outcomes, made = self.part.outcomes.columns, self.part.decisions.columns
        some = outcomes["event"] == _EVENT[event]
        known = self._keys(
            self.rows_of(outcomes["member"][some]),
            *(outcomes[name][some] for name in ("decided_at", "channel")),
        )
        asked = self._keys(
            self.rows_of(made["member"][decisions]),
            *(made[name][decisions] for name in ("time", "channel")),
        )
        return np.isin(asked, known).astype(np.uint8)

    def _begin(self, belief_filter: BeliefFilter | None) -> Replay:
        table = self.table
        return Replay(
            self.log.world, self.members, table.opted_in[0], table.launches, belief_filter,
            alive=table.alive[0],
        )  # fmt: skip

    def _end_week(self, replay: Replay, week: int) -> None:
        """End a week of the replay; who is not there in the next one keeps its opt-ins."""
        table, last = self.table, week + 1 == self.log.weeks
        after = table.alive[week] & ~table.churned[week]
        alive = after if last else table.alive[week + 1]
        following = self._opted_in_after(replay) if last else table.opted_in[week + 1]
        opted_in = np.where(alive[:, None], following, replay.opted_in)
        replay.end_week(table.viewing_days[week], opted_in, alive)

    def _opted_in_after(self, replay: Replay) -> Bool:
        """Return the opt-ins after the last week, with those that came back at its end, [N, C]."""
        given, flags = self.part.outcomes.columns, replay.opted_in
        back = (given["event"] == _EVENT["opted_in"]) & (
            given["time"] // WEEK_SECONDS == self.log.weeks - 1
        )
        flags[self.rows_of(given["member"][back]), given["channel"][back]] = True
        return flags


def weekly_table(log: EventLog) -> WeeklyLog:
    """Return the weeks of all members of a log.

    Args:
        log: a log without errors.
    """
    tables = [MemberHistories(log, part).table for part in log.parts()]
    merged: list[NDArray[Any]] = [
        np.concatenate(columns, axis=int(columns[0].ndim > 1))
        for columns in zip(*tables, strict=True)
    ]
    return WeeklyLog(*merged)._replace(launches=log.launches)


def weekly_observations(
    log: EventLog, parts: Sequence[str] | None = None
) -> Iterator[tuple[Int64, Int64, Float32]]:
    """Yield members [B], weeks [B] and weekly observations [B, F_week] of living members.

    They are those of the environments: on the Monday of each week, and the one after the last week.

    Args:
        log: a log without errors.
        parts: names of the parts that are read; None for all.
    """
    for name in log.part_names if parts is None else parts:
        histories = MemberHistories(log, log.part(name))
        for replay in histories.replay():
            alive = replay.alive
            weeks = np.full(int(alive.sum()), replay.week)
            yield histories.members[alive], weeks, replay.weekly_observations()[alive]


def exploring_share(log: EventLog) -> float:
    """Return the share of a log's sends at which several candidates might have been sent.

    Only the first part is read. The share is 0 where the probabilities of candidates are unknown,
    and for an executor that always sends its best candidate.
    """
    given = log.part(log.part_names[0]).decisions.columns
    sent = given["action"] > 0
    if "probabilities" not in given or not sent.any():
        return 0.0
    several = (given["probabilities"][sent, 1:] > 0).sum(axis=1) > 1
    return float(several.mean())


def weekly(log: EventLog) -> Any:
    """Return the weekly observations of a log as a table of pandas.

    The index is member and week; the columns are the features of ``sf.weekly_features(log.world)``.
    """
    from slowfast_rl.members.features import weekly_features
    from slowfast_rl.members.frames import to_frame  # it names the extra that it needs

    import pandas as pd  # isort: skip

    members, weeks, rows = zip(*weekly_observations(log), strict=True)
    index = pd.MultiIndex.from_arrays(
        [np.concatenate(members), np.concatenate(weeks)], names=["member", "week"]
    )
    return to_frame(np.concatenate(rows), weekly_features(log.world), index)
