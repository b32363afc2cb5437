"""What reads found and writes refused, counted alike by every backend."""

from collections.abc import Mapping

import numpy as np

from slowfast_rl.members.arrays import Bool, Int8, Int64
from slowfast_rl.store.protocol import OnlineResponse
from slowfast_rl.store.records import RecordForm, Records
from slowfast_rl.store.rules import (
    ABSENT,
    NOT_FOUND,
    OUTSIDE_MAX_AGE,
    PRESENT,
    all_present,
    status_of,
)
from slowfast_rl.store.state import COUNTERS
from slowfast_rl.store.views import FeatureView

_NONE = np.zeros(0, np.int64)


class Tally:
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

    def judge(self, view: FeatureView, stamps: Int64, now: int | Int64) -> tuple[Int8, Int64]:
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

    def answer(
        self, form: RecordForm, records: Records, there: Bool, now: int | Int64
    ) -> OnlineResponse:
        """Returns what a read found, of records [B], those not `there` being zeros; and counts."""
        stamps = np.where(there, records["stamp"], ABSENT)
        status, missing = self.judge(form.view, stamps, now)
        if missing.size:
            records[missing], stamps[missing] = np.zeros((), form.dtype), 0
        return OnlineResponse(form.values(records), status, stamps)
