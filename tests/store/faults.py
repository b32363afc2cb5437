"""A feature store with faults on order, for tests of whoever depends on one."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from slowfast_rl.store import (
    FeatureStore,
    FeatureView,
    OnlineResponse,
    StoreState,
    StoreUnavailableError,
)

NOBODY = np.iinfo(np.int64).max  # an id that no test writes


@dataclass(frozen=True)
class Faults:
    """What goes wrong at one moment; by default nothing.

    Attributes:
        drop_writes: a write is lost, and its writer told that all is well.
        delay_seconds: a write arrives this much later, before the first call due by then.
        fail_writes: a write raises StoreUnavailableError.
        empty_reads: a read finds no row at all.
        fail_reads: a read raises StoreUnavailableError.
    """

    drop_writes: bool = False
    delay_seconds: int = 0
    fail_writes: bool = False
    empty_reads: bool = False
    fail_reads: bool = False


class _LateWrite(NamedTuple):
    due: int
    view: str
    entity_ids: ArrayLike
    rows: Mapping[str, Any]
    event_timestamp: ArrayLike


class FaultyStore:
    """Passes calls on to `store`, with `faults`: fixed ones, or a schedule by time in seconds.

    A batch with a time per row is judged by its latest. Assign `faults` to change them mid-test.
    """

    def __init__(self, store: FeatureStore, faults: Faults | Callable[[int], Faults]) -> None:
        self.store = store
        self.faults = faults
        self._late: list[_LateWrite] = []

    @property
    def counters(self) -> Mapping[str, int]:
        return self.store.counters

    def apply(self, views: Iterable[FeatureView]) -> None:
        self.store.apply(views)

    def write_to_online_store(
        self,
        view: str,
        entity_ids: ArrayLike,
        rows: Mapping[str, ArrayLike],
        event_timestamp: ArrayLike,
    ) -> int:
        clock, faults = self._at(event_timestamp)
        if faults.fail_writes:
            raise StoreUnavailableError(f"write at {clock} s")
        if faults.drop_writes:
            return len(np.asarray(entity_ids))
        if faults.delay_seconds:
            copies = {name: np.array(values) for name, values in rows.items()}
            late = _LateWrite(
                clock + faults.delay_seconds,
                view,
                np.array(entity_ids),
                copies,
                np.array(event_timestamp),
            )
            self._late.append(late)
            return len(np.asarray(entity_ids))
        return self.store.write_to_online_store(view, entity_ids, rows, event_timestamp)

    def get_online_features(
        self, view: str, entity_ids: ArrayLike, now: ArrayLike
    ) -> OnlineResponse:
        clock, faults = self._at(now)
        if faults.fail_reads:
            raise StoreUnavailableError(f"read at {clock} s")
        if faults.empty_reads:
            entity_ids = np.full(np.shape(entity_ids), NOBODY)
        return self.store.get_online_features(view, entity_ids, now)

    def delete(self, view: str, entity_ids: ArrayLike) -> int:
        return self.store.delete(view, entity_ids)

    def snapshot(self) -> StoreState:
        return self.store.snapshot()

    def restore(self, state: StoreState) -> None:
        self._late.clear()
        self.store.restore(state)

    def empty(self) -> None:
        """Loses every row, late writes included, as a restarted cache does; views stay."""
        self._late.clear()
        state = self.store.snapshot()
        rowless = {name: array[:0] for name, array in state.arrays.items()}
        self.store.restore(StoreState(rowless, state.metadata))

    def _at(self, time: ArrayLike) -> tuple[int, Faults]:
        clock = int(np.max(time, initial=0))
        due = sorted((late for late in self._late if late.due <= clock), key=lambda late: late.due)
        self._late = [late for late in self._late if late.due > clock]
        for late in due:
            self.store.write_to_online_store(*late[1:])
        return clock, self.faults(clock) if callable(self.faults) else self.faults
