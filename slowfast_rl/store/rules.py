"""The rules of all backends: which writes are accepted, and the status of rows that are read."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slowfast_rl.members.arrays import Bool, Int8, Int64
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.store.checks import (
    check_distinct,
    check_ids,
    check_rows,
    check_times,
    within,
)
from slowfast_rl.store.protocol import OnlineResponse, Status
from slowfast_rl.store.records import RecordLayout, Records
from slowfast_rl.store.state import COUNTERS
from slowfast_rl.store.views import FeatureView

ABSENT = np.iinfo(np.int64).min  # the stamp of an absent row, earlier than every time
PRESENT, NOT_FOUND, OUTSIDE_MAX_AGE = map(np.int8, Status)
LAST_WEEK = np.iinfo(np.int64).max // WEEK_SECONDS
HORIZON_WEEKS = 8
"""Weeks after a writer's clock beyond which a stamp cannot be right.

Longer than the five weeks for which a plan is used, so that a write that arrives late never
replaces a row that is still of use.
"""
_HORIZON_SECONDS = HORIZON_WEEKS * WEEK_SECONDS


def stamp_rows(
    view: FeatureView, rows: Mapping[str, NDArray[Any]], event_timestamp: Int64
) -> Int64:
    """Return the stamps [B] in seconds of rows that are written at `event_timestamp`.

    In a sticky view, the stamp is the Monday of the row's week.

    Raises:
        ValueError: in a sticky view, a week is below 0 or beyond the horizon of the writer's clock.
    """
    if not view.sticky_week:
        return event_timestamp
    week: Int64 = rows["week"].astype(np.int64)
    last = np.minimum(event_timestamp // WEEK_SECONDS + HORIZON_WEEKS, LAST_WEEK)
    outside = (week < 0) | (week > last)
    if outside.any():
        raise ValueError(
            f"week {week[outside][0]}: allowed are 0 to {last[outside][0]}, "
            f"{HORIZON_WEEKS} weeks after the writer's clock"
        )
    return week * WEEK_SECONDS


def horizon(event_timestamp: Int64) -> Int64:
    """Return the latest stamps [B] that stored rows can rightly have at these clocks [B]."""
    return np.minimum(event_timestamp, np.iinfo(np.int64).max - _HORIZON_SECONDS) + _HORIZON_SECONDS


def accepts(view: FeatureView, stamp: Int64, stored: Int64, event_timestamp: Int64) -> Bool:
    """Return [B], whether a row with `stamp` may replace one with stamp `stored` (or ABSENT).

    A stored stamp beyond the horizon of the writer's clock is a mistake and blocks no write.
    """
    mistaken = stored > horizon(event_timestamp)
    if view.sticky_week:
        return ((stamp > stored) | mistaken) & (stamp <= event_timestamp)
    return (stamp >= stored) | mistaken


def all_present(age: Int64, max_age_seconds: int | None) -> bool:
    """Return whether all rows [B] of these ages are PRESENT.

    Ages are negative of rows stamped later than now, and of ABSENT rows.
    """
    return within(age, 1 << 63 if max_age_seconds is None else max_age_seconds)


def status_of(age: Int64, max_age_seconds: int | None) -> Int8:
    """Return the status [B] of rows by age, that is `now - stamp` in seconds with now >= 0."""
    status = np.full(age.shape, PRESENT)
    if max_age_seconds is not None:
        status[age >= max_age_seconds] = OUTSIDE_MAX_AGE
    status[age < 0] = NOT_FOUND  # stamped later than now, or ABSENT: now - ABSENT overflows
    return status


class ValidatedWrite(NamedTuple):
    """Validated rows to write, one for each of B distinct entities."""

    ids: Int64  # [B]
    values: dict[str, NDArray[Any]]  # [B, *shape] per column
    stamps: Int64  # [B] seconds, the rows' stamps
    clock: Int64  # [B] seconds, the writer's clock


def validate_write(
    view: FeatureView,
    entity_ids: ArrayLike,
    rows: Mapping[str, ArrayLike],
    event_timestamp: ArrayLike,
) -> ValidatedWrite:
    """Return the validated arguments of `FeatureStore.write_to_online_store`, maybe not copied.

    Raises:
        ValueError: as for that method.
    """
    ids = check_ids(entity_ids)
    check_distinct(ids)
    values = check_rows(view, rows, len(ids))
    times = check_times("event_timestamp", event_timestamp, len(ids))
    clock = np.broadcast_to(np.asarray(times), ids.shape)
    return ValidatedWrite(ids, values, stamp_rows(view, values, clock), clock)


_NO_INDICES = np.zeros(0, np.int64)
_ONE_PRESENT = np.full(1, PRESENT)  # repeated where all are, which is faster than np.full


class StoreCounters:
    """The counters of one store object; see `FeatureStore.counters`."""

    def __init__(self) -> None:
        self._counters = dict.fromkeys(COUNTERS, 0)

    @property
    def counters(self) -> dict[str, int]:
        """A copy of the counters."""
        return dict(self._counters)

    def restore(self, counters: Mapping[str, int]) -> None:
        """Replace the counters by those of a snapshot."""
        self._counters = {name: counters[name] for name in COUNTERS}

    def count_refused(self, rows: int) -> None:
        """Count refused writes."""
        self._counters["refused_writes"] += rows

    def classify(self, view: FeatureView, stamps: Int64, now: int | Int64) -> tuple[Int8, Int64]:
        """Return the status [B] of rows with stamps [B], and the indices of those NOT_FOUND.

        Stale and missing rows are counted. The stamp of an absent row is ABSENT.
        """
        age = now - stamps
        if all_present(age, view.max_age_seconds):
            return _ONE_PRESENT.repeat(len(stamps)), _NO_INDICES
        status = status_of(age, view.max_age_seconds)
        missing = np.flatnonzero(status == NOT_FOUND)
        self._counters["stale_reads"] += int(np.count_nonzero(status == OUTSIDE_MAX_AGE))
        self._counters["not_found_reads"] += missing.size
        return status, missing

    def build_response(
        self, layout: RecordLayout, records: Records, present: Bool, now: int | Int64
    ) -> OnlineResponse:
        """Return the response of a read and count stale and missing rows.

        Args:
            layout: of the records.
            records: [B] zeros where absent; changed in place.
            present: [B] which records are present.
            now: the reader's clock in seconds, a scalar or [B].
        """
        stamps = np.where(present, records["stamp"], ABSENT)
        status, missing = self.classify(layout.view, stamps, now)
        if missing.size:
            records[missing], stamps[missing] = np.zeros((), layout.dtype), 0
        return OnlineResponse(layout.values(records), status, stamps)
