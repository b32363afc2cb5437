"""Refuse rows of a log that belong to no member, week, slot or send, before anything is counted."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.logs.reading import EventLog, LogPart
from slowfast_rl.logs.schema import EVENTS, OF_SENDS
from slowfast_rl.members.arrays import Bool, Int64
from slowfast_rl.members.clock import WEEK_SECONDS

_OF_SENDS = [EVENTS.index(name) for name in OF_SENDS]
_OF_CHANNELS = [*_OF_SENDS, EVENTS.index("opted_in")]


def check_rows(log: EventLog, part: LogPart) -> None:
    """Check that every row of a part can be joined with a member and a week that have a plan.

    :func:`~slowfast_rl.logs.check` looks for more, and names the rows. This takes little time, so
    that it can be done whenever a part is read: a row that fits nowhere would be counted for
    another member or week, or left out.

    Raises:
        ValueError: a row cannot be joined, or there are no plans.
    """
    world, weeks = log.world, log.weeks
    plans, decisions, outcomes = part.plans.columns, part.decisions.columns, part.outcomes.columns
    if not part.plans.size:
        _refuse(log, "plans", "member", "no rows for members that have decisions or outcomes")
    members = np.unique(plans["member"])
    week = plans["week"].astype(np.int64)
    _check(log, "plans", "week", (week < 0) | (week >= weeks))
    planned = np.zeros((weeks, len(members)), np.int64)
    np.add.at(planned, (week, np.searchsorted(members, plans["member"])), 1)
    if (planned > 1).any():
        _refuse(log, "plans", "week", "weeks twice")
    for name in ("target", "opted_in"):
        if plans[name].shape[1] != len(world.channels):
            _refuse(log, "plans", name, f"{plans[name].shape[1]} channels")
    for name in ("opted_in", "drawn_week"):
        if name in part.plans.nulls:
            _refuse(log, "plans", name, "missing values")
    for table, given in (("decisions", decisions), ("outcomes", outcomes)):
        time, place = given["time"], np.searchsorted(members, given["member"])
        _check(log, table, "time", _outside(time, weeks))
        place = np.minimum(place, len(members) - 1)
        known = (members[place] == given["member"]) & (planned[time // WEEK_SECONDS, place] > 0)
        _check(log, table, "member", ~known)
    action, channel = decisions["action"], decisions["channel"]
    _check(log, "decisions", "action", (action < 0) | (action > world.num_candidates))
    _check(log, "decisions", "channel", channel < 0)
    event = outcomes["event"]
    _check(log, "outcomes", "event", event < 0)
    _check(log, "outcomes", "channel", np.isin(event, _OF_CHANNELS) & (outcomes["channel"] < 0))
    late = np.isin(event, _OF_SENDS) & _outside(outcomes["decided_at"], weeks)
    _check(log, "outcomes", "decided_at", late)


def check_candidates(
    log: EventLog, part: LogPart, rows: Int64 | slice, needed: Sequence[str]
) -> None:
    """Check that decisions say what their candidates were.

    Args:
        log: the log.
        part: one of its parts.
        rows: [B] of the table ``decisions``.
        needed: names of columns, some of topics, qualities and launched.

    Raises:
        ValueError: a column is missing, or has values that are not known.
    """
    given, world = part.decisions.columns, log.world
    lacking = [name for name in needed if name not in given]
    if lacking:
        raise ValueError(
            f"{log.folder} has no {', '.join(lacking)} of the candidates; observations need them"
        )
    for name in needed:
        values = given[name][rows]
        if len(values) and values.shape[1] != world.num_candidates:
            _refuse(log, "decisions", name, f"{values.shape[1]} candidates")
        known = np.isfinite(values)
        if name == "topics":
            known = (values >= 0) & (values < world.num_topics)
        if not known.all():
            _refuse(log, "decisions", name, "unknown values")


def _outside(time: Int64, weeks: int) -> Bool:
    """Return which times are before or after the log."""
    outside: Bool = (time < 0) | (time >= weeks * WEEK_SECONDS)
    return outside


def _check(log: EventLog, table: str, column: str, wrong: NDArray[np.bool_]) -> None:
    if wrong.any():
        _refuse(log, table, column, f"{int(wrong.sum())} rows that fit no member and week")


def _refuse(log: EventLog, table: str, column: str, what: str) -> None:
    raise ValueError(
        f"{log.folder} has {what} in {table}.{column}; slowfast-logs mode=check names the rows"
    )
