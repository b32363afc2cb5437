"""What a company knows of members at the beginning of each week, from the weeks before.

Arrays have a row per week and a column per member, [T, n], because most of them are recursions over
weeks. The starting values stand for what is known before the log begins; they are the same for
observed and simulated logs, and therefore need not be right.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from slowfast_rl.logs.weekly_log import WeeklyLog
from slowfast_rl.members.arrays import Bool, Float32

_KEPT = (0.3, 0.63, 0.85, 0.96)  # of exponential averages: about 1, 2, 6 and 25 weeks
_LOAD_KEPT = (0.5, 0.85, 0.96)  # of averages for each channel
_OPENED_RELIEF = np.float32(0.6)  # less fatigue of an opened send, about
_VIEWS, _DISMISSED, _OPENED = 1.5, (1.5, 10.0), (1.0, 10.0)  # before the log; (count, of)


class Features(NamedTuple):
    """Observed and derived numbers of n members in T weeks; C channels."""

    sends: list[Float32]  # C times [T, n]
    opens: list[Float32]
    dismissals: list[Float32]
    opt_outs: list[Float32]
    unopened: list[Float32]
    opted_in: list[Bool]
    returned: list[Float32]  # opted in again by the next Monday
    may_return: list[Float32]  # 1 where that was possible and is known
    views: Float32  # [T, n] viewing days
    churned: Float32  # [T, n]
    alive: Float32  # [T, n]
    all_sends: Float32  # [T, n] of all channels
    all_opens: Float32
    fatigue: list[Float32]  # four averages of effective sends
    load: list[list[Float32]]  # C times three averages of unopened sends
    views_last: Float32  # viewing days of the last week, and averages
    views_4: Float32
    views_20: Float32
    dismissed: Float32  # share of unopened sends that were dismissed so far
    opened: Float32  # share of sends that were opened so far
    first_views: Float32  # [n] viewing days a week in the first weeks
    early_views: Float32  # [n] the same of twice as many weeks


def features(log: WeeklyLog, first_weeks: int) -> Features:
    """Return the features of a log's members.

    Args:
        log: a log.
        first_weeks: the number of weeks of ``Features.first_views``.
    """
    alive = log.alive.astype(np.float32)

    def by_channel(values: Float32) -> list[Float32]:
        columns = np.moveaxis(values, 2, 0).astype(np.float32)
        return [np.ascontiguousarray(column) * alive for column in columns]

    sends, opens = by_channel(log.sends), by_channel(log.opens)
    dismissals, opt_outs = by_channel(log.dismissals), by_channel(log.opt_outs)
    views = log.viewing_days * alive
    unopened = [s - o for s, o in zip(sends, opens, strict=True)]
    all_sends, all_opens = _sum(sends), _sum(opens)
    effective = all_sends - _OPENED_RELIEF * all_opens
    opted_in = [np.ascontiguousarray(log.opted_in[:, :, c]) for c in range(len(sends))]
    both = np.zeros_like(log.alive)  # weeks whose next Monday is known
    both[:-1] = log.alive[:-1] & log.alive[1:]
    returned = []
    for known in opted_in:
        again = np.zeros_like(known)
        again[:-1] = known[1:] & ~known[:-1] & both[:-1]
        returned.append(again.astype(np.float32))
    return Features(
        sends=sends,
        opens=opens,
        dismissals=dismissals,
        opt_outs=opt_outs,
        unopened=unopened,
        opted_in=opted_in,
        returned=returned,
        may_return=[(both & ~known).astype(np.float32) for known in opted_in],
        views=views,
        churned=log.churned * alive,
        alive=alive,
        all_sends=all_sends,
        all_opens=all_opens,
        fatigue=[_average(effective, kept, 0) for kept in _KEPT],
        load=[[_average(u, kept, 0) for kept in _LOAD_KEPT] for u in unopened],
        views_last=_average(views, 0, _VIEWS),
        views_4=_average(views, 3 / 4, _VIEWS),
        views_20=_average(views, 19 / 20, _VIEWS),
        dismissed=_share(_sum(dismissals), _sum(unopened), _DISMISSED),
        opened=_share(all_opens, all_sends, _OPENED),
        first_views=views[:first_weeks].mean(axis=0),
        early_views=views[: 2 * first_weeks].mean(axis=0),
    )


def _sum(parts: Iterable[Float32]) -> Float32:
    first, *others = parts
    total = first.copy()
    for part in others:
        total += part
    return total


def _average(values: Float32, kept: float, start: float) -> Float32:
    """Return exponential averages of the weeks before each week, [T, n]."""
    average = np.empty_like(values)
    average[0] = start
    share = np.float32(kept)
    for t in range(1, len(values)):
        average[t] = share * average[t - 1] + (1 - share) * values[t - 1]
    return average


def _share(counts: Float32, of: Float32, before: tuple[float, float]) -> Float32:
    """Return counts as a share of others, over all weeks before each week, [T, n]."""
    numerator, denominator = np.empty_like(counts), np.empty_like(of)
    numerator[0], denominator[0] = before
    np.cumsum(counts[:-1], axis=0, out=numerator[1:])
    np.cumsum(of[:-1], axis=0, out=denominator[1:])
    numerator[1:] += np.float32(before[0])
    denominator[1:] += np.float32(before[1])
    return numerator / denominator
