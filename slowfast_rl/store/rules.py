"""Which writes are accepted and what a read is told: one copy of the rules for every backend."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slowfast_rl.members.arrays import Bool, Int8, Int64
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.store.checks import check_distinct, check_ids, check_rows, check_times
from slowfast_rl.store.protocol import OnlineResponse, Status
from slowfast_rl.store.records import RecordForm, Records
from slowfast_rl.store.state import COUNTERS
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


class Incoming(NamedTuple):
    """One row for each of B distinct entities."""

    ids: Int64  # [B]
    values: dict[str, NDArray[Any]]  # [B, *shape] per column
    stamps: Int64  # [B] seconds, under which the rows are kept
    clock: Int64  # [B] seconds, the writer's


def incoming(
    view: FeatureView,
    entity_ids: ArrayLike,
    rows: Mapping[str, ArrayLike],
    event_timestamp: ArrayLike,
) -> Incoming:
    """Returns what `FeatureStore.write_to_online_store` was given; arrays may be the caller's.

    Raises:
        ValueError: as that method does.
    """
    ids = check_ids(entity_ids)
    check_distinct(ids)
    values = check_rows(view, rows, len(ids))
    times = check_times("event_timestamp", event_timestamp, len(ids))
    clock = np.broadcast_to(np.asarray(times), ids.shape)
    return Incoming(ids, values, stamp_rows(view, values, clock), clock)


_NONE = np.zeros(0, np.int64)


class StoreCounters:
    """Counters of one store object; see `FeatureStore.counters`."""

    def __init__(self) -> None:
        self._counters = dict.fromkeys(COUNTERS, 0)

    @property
    def counters(self) -> dict[str, int]:
        """Returns a copy."""
        return dict(self._counters)

    def restore(self, counters: Mapping[str, int]) -> None:
        """Goes on from a snapshot's."""
        self._counters = {name: counters[name] for name in COUNTERS}

    def refused(self, rows: int) -> None:
        """Counts writes that were refused."""
        self._counters["refused_writes"] += rows

    def classify(self, view: FeatureView, stamps: Int64, now: int | Int64) -> tuple[Int8, Int64]:
        """Returns the status [B] of rows under stamps [B], and the indices of those NOT_FOUND.

        Stale and missing rows are counted. An absent row's stamp is ABSENT.
        """
        age = now - stamps
        if all_present(age, view.max_age_seconds):
            return np.full(len(stamps), PRESENT), _NONE
        status = status_of(age, view.max_age_seconds)
        missing = np.flatnonzero(status == NOT_FOUND)
        self._counters["stale_reads"] += int(np.count_nonzero(status == OUTSIDE_MAX_AGE))
        self._counters["not_found_reads"] += missing.size
        return status, missing

    def build_response(
        self, form: RecordForm, records: Records, there: Bool, now: int | Int64
    ) -> OnlineResponse:
        """Returns what a read found, of records [B], those not `there` being zeros; and counts."""
        stamps = np.where(there, records["stamp"], ABSENT)
        status, missing = self.classify(form.view, stamps, now)
        if missing.size:
            records[missing], stamps[missing] = np.zeros((), form.dtype), 0
        return OnlineResponse(form.values(records), status, stamps)
