"""The feature store of one process, in NumPy arrays."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import ArrayLike

from slowfast_rl.store.checks import check_ids, check_times
from slowfast_rl.store.index import NOBODY
from slowfast_rl.store.protocol import OnlineResponse, StoreState
from slowfast_rl.store.rules import StoreCounters, accepts, validate_write
from slowfast_rl.store.state import pack_state, unpack_state
from slowfast_rl.store.table import Table
from slowfast_rl.store.views import FeatureView, registered, unknown_view


class InMemoryFeatureStore:
    """A `FeatureStore` in this process's memory, for one thread.

    A read of B rows is one gather per column, one for the stamps and one to find the slots. Slots
    of deleted rows are reused, so the size depends on the largest number of rows held at once.
    """

    def __init__(self) -> None:
        self._tables: dict[str, Table] = {}
        self._counters = StoreCounters()

    @property
    def counters(self) -> Mapping[str, int]:
        """Numbers of rows so far over all views: see `FeatureStore.counters`."""
        return self._counters.counters

    def apply(self, views: Iterable[FeatureView]) -> None:
        """Register views; see `FeatureStore.apply`."""
        wanted = registered({name: table.view for name, table in self._tables.items()}, views)
        for view in wanted.values():
            self._tables.setdefault(view.name, Table(view))

    def write_to_online_store(
        self,
        view: str,
        entity_ids: ArrayLike,
        rows: Mapping[str, ArrayLike],
        event_timestamp: ArrayLike,
    ) -> int:
        """Write one row per entity; see `FeatureStore.write_to_online_store`."""
        table = self._table(view)
        ids, values, stamps, clock = validate_write(table.view, entity_ids, rows, event_timestamp)
        accepted = accepts(table.view, stamps, table.stamps(table.index.find(ids)), clock)
        count = int(np.count_nonzero(accepted))
        if count < len(ids):
            ids, stamps = ids[accepted], stamps[accepted]
            values = {name: column[accepted] for name, column in values.items()}
        table.write(ids, values, stamps)
        self._counters.count_refused(len(accepted) - count)
        return count

    def get_online_features(
        self, view: str, entity_ids: ArrayLike, now: ArrayLike
    ) -> OnlineResponse:
        """Read one row per entity as of `now`; see `FeatureStore.get_online_features`."""
        table = self._table(view)
        ids = check_ids(entity_ids)
        clock = check_times("now", now, len(ids))
        slots = table.index.find(ids)
        stamps = table.stamps(slots)
        status, missing = self._counters.classify(table.view, stamps, clock)
        if missing.size:
            slots[missing] = NOBODY
            stamps[missing] = 0
        return OnlineResponse(table.values(slots), status, stamps)

    def delete(self, view: str, entity_ids: ArrayLike) -> int:
        """Delete the rows of these entities; see `FeatureStore.delete`."""
        return self._table(view).index.release(check_ids(entity_ids))

    def snapshot(self) -> StoreState:
        """Return a copy of all views, rows and counters."""
        return pack_state([table.dump() for table in self._tables.values()], self.counters)

    def restore(self, state: StoreState) -> None:
        """Replace all views, rows and counters; see `FeatureStore.restore`."""
        contents, counters = unpack_state(state)
        tables = {rows.view.name: Table(rows.view) for rows in contents}
        for rows in contents:
            tables[rows.view.name].write(rows.entity_ids, rows.values, rows.event_timestamp)
        self._tables = tables
        self._counters.restore(counters)

    def _table(self, view: str) -> Table:
        if view not in self._tables:
            raise unknown_view(view, self._tables)
        return self._tables[view]
