"""A feature store that processes on one machine share."""

import os
import time
import weakref
from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import ArrayLike

from slowfast_rl.members.arrays import Bool, Int64
from slowfast_rl.store.checks import check_ids, check_times
from slowfast_rl.store.files import delete_leftovers, owner
from slowfast_rl.store.protocol import OnlineResponse, StoreState, StoreUnavailableError
from slowfast_rl.store.records import WORD, RecordLayout, Records, row_bytes
from slowfast_rl.store.rules import ABSENT, StoreCounters, accepts, validate_write
from slowfast_rl.store.shared_catalog import Area, Catalog
from slowfast_rl.store.shared_file import SharedFile, shared_folder
from slowfast_rl.store.shared_table import DamagedTableError, SharedTable, slots_for, words_for
from slowfast_rl.store.state import ViewRows, pack_state, unpack_state
from slowfast_rl.store.views import FeatureView, registered, unknown_view

_READ_TIMEOUT_SECONDS = 0.25  # limit of waiting for a row that is being written
_RETRY_SECONDS = 50e-6  # between two attempts to read
_PRIVATE = ".private"  # how the names of private stores end


class SharedMemoryFeatureStore:
    """A `FeatureStore` in one memory-mapped file, for any number of processes on a machine.

    Writers exclude each other by ``flock``, which the system releases when a process is killed.
    Readers take no lock: they detect a row that is being written by its version and checksum and
    read it again. If it stays unreadable, they check whether a process is writing. A row that a
    killed writer left half written reads as NOT_FOUND until it is written again, and so does one
    that is damaged or belongs to another entity. Every wait has a limit: a call that another
    process holds up, or that meets a damaged file, raises `StoreUnavailableError`. Counters count
    rows in calls of this object. Each thread needs an object of its own.

    Args:
        name: the name of the store; processes that give the same name share it. None makes a
            private store, whose file is deleted with the object; the file of a process that was
            killed is deleted when the next store in the folder is opened.
        folder: the folder of the file; None for /dev/shm, or the temporary folder if that is not
            writable. Deleting the file empties the store for all processes.

    Raises:
        ValueError: the name is not a file name, or the file is no store or another user's.
        StoreUnavailableError: the file is damaged, another process keeps it locked, or there is not
            enough memory or disk space.
    """

    def __init__(self, name: str | None = None, folder: str | Path | None = None) -> None:
        if name is not None and (not name or Path(name).name != name):
            raise ValueError(f"store name {name!r}: allowed is a file's name, without a folder")
        place = shared_folder() if folder is None else Path(folder)
        delete_leftovers(place, f"*{_PRIVATE}")
        file_name = f"slowfast-{name}.store" if name else f"slowfast-{uuid4().hex}"
        path = place / (file_name if name else f"{file_name}.{owner()}{_PRIVATE}")
        self._file = SharedFile(path)
        self._loaded = (0, 0)
        self._tables: dict[str, SharedTable] = {}
        self._counters = StoreCounters()
        self._load()
        self._arguments = (name, folder)
        if name is None:
            weakref.finalize(self, _unlink, path, os.getpid())

    @property
    def path(self) -> Path:
        """The path of the file."""
        return self._file.path

    @property
    def counters(self) -> Mapping[str, int]:
        """Numbers of rows so far in calls of this object; see `FeatureStore.counters`."""
        return self._counters.counters

    def apply(self, views: Iterable[FeatureView]) -> None:
        """Register views; see `FeatureStore.apply`."""
        with self._file.locked():
            self._refresh()
            self._add_areas(registered(self._views(), views))

    def write_to_online_store(
        self,
        view: str,
        entity_ids: ArrayLike,
        rows: Mapping[str, ArrayLike],
        event_timestamp: ArrayLike,
    ) -> int:
        """Write one row per entity; see `FeatureStore.write_to_online_store`."""
        known = self._view(view)
        ids, values, stamps, clock = validate_write(known, entity_ids, rows, event_timestamp)
        with self._file.locked():
            self._refresh()
            table = self._table(view, known)
            try:
                stored, present, _ = table.read(ids)
            except DamagedTableError:  # saves the rows that are intact
                table = self._grow(view, len(ids))
                stored, present, _ = table.read(ids)
            accepted = accepts(known, stamps, np.where(present, stored["stamp"], ABSENT), clock)
            records = table.layout.pack(ids, values, stamps)[accepted]
            if not table.has_capacity(len(records)):
                table = self._grow(view, len(records))
            try:
                table.write(ids[accepted], records)
            except DamagedTableError:
                self._grow(view, len(records)).write(ids[accepted], records)
        count = int(accepted.sum())
        self._counters.count_refused(len(ids) - count)
        return count

    def get_online_features(
        self, view: str, entity_ids: ArrayLike, now: ArrayLike
    ) -> OnlineResponse:
        """Read one row per entity as of `now`; see `FeatureStore.get_online_features`."""
        known = self._view(view)
        ids = check_ids(entity_ids)
        times = check_times("now", now, len(ids))
        layout, records, present = self._read(known, ids)
        return self._counters.build_response(layout, records, present, times)

    def delete(self, view: str, entity_ids: ArrayLike) -> int:
        """Delete the rows of these entities; see `FeatureStore.delete`."""
        known = self._view(view)
        ids = check_ids(entity_ids)
        with self._file.locked():
            self._refresh()
            try:
                return self._table(view, known).delete(ids)
            except DamagedTableError:
                return self._grow(view, 0).delete(ids)

    def snapshot(self) -> StoreState:
        """Return a copy of all views, rows and counters."""
        with self._file.locked():
            self._refresh()
            rows = []
            for table in self._tables.values():
                ids, records = table.dump()
                values = table.layout.values(records)
                rows.append(ViewRows(table.layout.view, ids, values, records["stamp"].copy()))
        return pack_state(rows, self.counters)

    def restore(self, state: StoreState) -> None:
        """Replace all views, rows and counters; see `FeatureStore.restore`."""
        contents, counters = unpack_state(state)
        with self._file.locked():
            self._refresh()
            before = self._file.catalog
            catalog = Catalog([], list(before.free), before.end)
            for rows in contents:
                layout = RecordLayout(rows.view)
                records = layout.pack(rows.entity_ids, rows.values, rows.event_timestamp)
                self._write_area(catalog, layout, slots_for(len(records)), rows.entity_ids, records)
            for table, area in zip(self._tables.values(), before.areas, strict=True):
                catalog.release(*_extent(table, area))
            self._file.publish(catalog)
            self._load()
        self._counters.restore(counters)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the arguments, so that a copy opens the same file."""
        if self._arguments[0] is None:
            raise TypeError("a store without a name cannot be copied or sent to another process")
        return type(self), self._arguments

    def __repr__(self) -> str:
        """Return the class and the path of the file."""
        return f"SharedMemoryFeatureStore({str(self.path)!r})"

    def _views(self) -> dict[str, FeatureView]:
        """Return the registered views by name."""
        return {name: table.layout.view for name, table in self._tables.items()}

    def _view(self, name: str) -> FeatureView:
        """Return a registered view as other processes last defined it."""
        self._refresh()
        if name not in self._tables:
            raise unknown_view(name, self._tables)
        return self._tables[name].layout.view

    def _table(self, name: str, view: FeatureView) -> SharedTable:
        """Return a view's table.

        Raises:
            ValueError: another process has removed or changed the view.
        """
        table = self._tables.get(name)
        if table is None or table.layout.view != view:
            raise unknown_view(name, self._tables)
        return table

    def _refresh(self) -> None:
        """Load the catalog that other processes changed.

        A file that was deleted and created again is given this object's views.
        """
        self._file.refresh()
        if self._file.version == self._loaded:
            return
        replaced, known = self._file.version[0] != self._loaded[0], self._views()
        loaded, tables = self._loaded, self._tables
        self._load()
        if replaced and known.keys() - self._tables.keys():
            try:
                with self._file.locked():
                    self._load()
                    self._add_areas(known)
            except StoreUnavailableError:
                self._loaded, self._tables = loaded, tables  # so that the next call tries again
                raise

    def _load(self) -> None:
        """Create the tables of the catalog's areas.

        Raises:
            StoreUnavailableError: an area is damaged.
        """
        catalog, tables = self._file.catalog, {}
        for area in catalog.areas:
            try:
                view = FeatureView.from_json(area.view)
                if row_bytes(view) * area.capacity > catalog.end:  # before memory is taken for it
                    raise ValueError("a view does not fit into its area")
                layout = RecordLayout(view)
                count = words_for(layout, area.capacity)
                if area.offset + count * WORD > catalog.end or view.name in tables:
                    raise ValueError("a view does not fit into its area")
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise self._file.damaged(f"its catalog holds no views: {error}") from error
            words = self._file.area(area.offset, count)
            tables[view.name] = SharedTable(layout, words, area.capacity)
        self._loaded, self._tables = self._file.version, tables

    def _read(self, view: FeatureView, ids: Int64) -> tuple[RecordLayout, Records, Bool]:
        """Return the layout, records [B] and which of them are present; absent ones are zeros."""
        deadline = 0.0
        while True:
            table = self._table(view.name, view)
            try:
                records, present, unreadable = table.read(ids)
            except DamagedTableError as error:
                if self._file.is_current():
                    raise self._file.damaged(f"too many rows in view {view.name!r}") from error
                moved = True
            else:
                moved = not self._file.is_current()  # another process may have moved the rows
            if not moved and not unreadable.any():
                return table.layout, records, present
            if not deadline:
                deadline = time.monotonic() + _READ_TIMEOUT_SECONDS
            elif not moved:
                with self._file.writers_excluded() as excluded:
                    if excluded and self._file.is_current():  # no writer: unreadable rows stay so
                        return table.layout, *table.read(ids)[:2]
                if time.monotonic() > deadline:
                    return table.layout, records, present
                time.sleep(_RETRY_SECONDS)
            elif time.monotonic() > deadline:
                raise StoreUnavailableError(f"{self.path}: its catalog changes all the time")
            if moved:
                self._refresh()

    def _add_areas(self, views: Mapping[str, FeatureView]) -> None:
        """Create areas for views that have none; the caller must hold the lock."""
        new = [view for name, view in views.items() if name not in self._tables]
        if new:
            catalog = deepcopy(self._file.catalog)
            for view in new:
                layout = RecordLayout(view)
                no_ids = np.zeros(0, np.int64)
                self._write_area(catalog, layout, slots_for(0), no_ids, np.zeros(0, layout.dtype))
            self._file.publish(catalog)
            self._load()

    def _grow(self, view: str, rows: int) -> SharedTable:
        """Move a view's rows to a larger area; the caller must hold the lock.

        Args:
            view: name of the view.
            rows: number of further rows that must fit.

        Returns:
            The new table.
        """
        table = self._tables[view]
        ids, records = table.dump()
        catalog = deepcopy(self._file.catalog)
        old = next(area for area in catalog.areas if area.view["name"] == view)
        place = catalog.areas.index(old)
        self._write_area(catalog, table.layout, slots_for(len(ids) + rows), ids, records)
        catalog.areas[place] = catalog.areas.pop()
        catalog.release(*_extent(table, old))
        self._file.publish(catalog)
        self._load()
        return self._tables[view]

    def _write_area(
        self, catalog: Catalog, layout: RecordLayout, capacity: int, ids: Int64, records: Records
    ) -> None:
        """Write rows to a new area and add it to the catalog."""
        count = words_for(layout, capacity)
        offset = catalog.allocate(count * WORD)
        self._file.reserve(catalog.end)
        words = self._file.area(offset, count)
        words[:] = 0
        SharedTable(layout, words, capacity).write(ids, records)
        catalog.areas.append(Area(layout.view.to_json(), offset, capacity))


def _unlink(path: Path, owner: int) -> None:
    """Delete a private store's file, but not in a forked child of its owner."""
    if os.getpid() == owner:
        path.unlink(missing_ok=True)


def _extent(table: SharedTable, area: Area) -> tuple[int, int]:
    """Return the offset and the length in bytes of the area of a table."""
    return area.offset, words_for(table.layout, area.capacity) * WORD
