"""Which writes are accepted and what a read is told: one copy of the rules for every backend."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.members.arrays import Bool, Int8, Int64
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.store.protocol import Status
from slowfast_rl.store.views import FeatureView

ABSENT = np.iinfo(np.int64).min  # the stamp of a row that is not there: earlier than every time
PRESENT, NOT_FOUND, OUTSIDE_MAX_AGE = map(np.int8, Status)
LAST_WEEK = np.iinfo(np.int64).max // WEEK_SECONDS


def stamp_rows(
    view: FeatureView, rows: Mapping[str, NDArray[Any]], event_timestamp: Int64
) -> Int64:
    """Returns the stamps [B] in seconds under which rows written at `event_timestamp` are kept.

    Raises:
        ValueError: in a sticky view, for a week below 0 or past the end of int64 seconds.
    """
    if not view.sticky_week:
        return event_timestamp
    week: Int64 = rows["week"].astype(np.int64)
    outside = (week < 0) | (week > LAST_WEEK)
    if outside.any():
        raise ValueError(f"week {week[outside][0]}: allowed are 0 to {LAST_WEEK}")
    return week * WEEK_SECONDS


def accepts(view: FeatureView, stamp: Int64, stored: Int64, event_timestamp: Int64) -> Bool:
    """Returns [B], whether each row may replace the one stored under stamp `stored` (or ABSENT)."""
    if view.sticky_week:
        return (stamp > stored) & (stamp <= event_timestamp)
    return stamp >= stored


def all_present(age: Int64, max_age_seconds: int | None) -> bool:
    """Returns whether every row [B] of this age is PRESENT, in one pass.

    As unsigned numbers, the ages of rows from the future and of ABSENT rows are huge.
    """
    limit = 1 << 63 if max_age_seconds is None else max_age_seconds
    return bool(np.maximum.reduce(age.view(np.uint64), initial=0) < limit)


def status_of(age: Int64, max_age_seconds: int | None) -> Int8:
    """Returns the status [B] of rows by age, which is `now - stamp` in seconds, now >= 0."""
    status = np.full(age.shape, PRESENT)
    if max_age_seconds is not None:
        status[age >= max_age_seconds] = OUTSIDE_MAX_AGE
    status[age < 0] = NOT_FOUND  # from the future, or ABSENT: now - ABSENT wraps round
    return status
