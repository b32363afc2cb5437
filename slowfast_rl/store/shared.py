"""The feature store that processes on one machine share."""

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
from slowfast_rl.store.protocol import OnlineResponse, StoreState
from slowfast_rl.store.records import WORD, RecordForm, Records
from slowfast_rl.store.rules import ABSENT, StoreCounters, accepts, incoming
from slowfast_rl.store.shared_catalog import Area, Catalog
from slowfast_rl.store.shared_file import SharedFile, shared_folder
from slowfast_rl.store.shared_table import SharedTable, slots_for, words_for
from slowfast_rl.store.state import ViewRows, pack_state, unpack_state
from slowfast_rl.store.views import FeatureView, registered, unknown_view

_PATIENCE_SECONDS = 0.25  # with a writer that holds a row half written
_PAUSE_SECONDS = 50e-6


class SharedMemoryFeatureStore:
    """A `FeatureStore` in one memory-mapped file, for any number of processes on a machine.

    Writers take turns by ``flock``, which the system releases when one is killed. Readers take no
    lock: they look at a row's version, the row, its version again, and its checksum. Only where a
    row stays unreadable do they ask, without waiting, whether anybody is writing. A row that a
    killed writer left half written reads as NOT_FOUND, until somebody writes it again. Counters are
    those of this object. Each thread needs an object of its own.

    Args:
        name: of the store; whoever gives the same one shares it. None makes a private one, whose
            file goes with the object.
        folder: where its file lies; None for memory (/dev/shm), or the temporary folder where there
            is none. Deleting the file empties the store for everybody.

    Raises:
        ValueError: the name is no file's name, or its file is no store or another user's.
        StoreUnavailableError: there is no room.
    """

    def __init__(self, name: str | None = None, folder: str | Path | None = None) -> None:
        if name is not None and (not name or Path(name).name != name):
            raise ValueError(f"store name {name!r}: allowed is a file's name, without a folder")
        place = shared_folder() if folder is None else Path(folder)
        path = place / f"slowfast-{name or uuid4().hex}.store"
        self._file = SharedFile(path)
        self._loaded = (0, 0, 0)
        self._tables: dict[str, SharedTable] = {}
        self._tally = StoreCounters()
        self._load()
        self._arguments = (name, folder)
        if name is None:
            weakref.finalize(self, _unlink, path, os.getpid())

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    @property
    def counters(self) -> Mapping[str, int]:
        """Rows so far through this object: refused_writes, stale_reads and not_found_reads."""
        return self._tally.counters

    def apply(self, views: Iterable[FeatureView]) -> None:
        """Registers views; see `FeatureStore.apply`."""
        with self._file.locked():
            self._catch_up()
            self._add(registered(self._views(), views))

    def write_to_online_store(
        self,
        view: str,
        entity_ids: ArrayLike,
        rows: Mapping[str, ArrayLike],
        event_timestamp: ArrayLike,
    ) -> int:
        """Writes one row per entity; see `FeatureStore.write_to_online_store`."""
        known = self._view(view)
        ids, values, stamps, clock = incoming(known, entity_ids, rows, event_timestamp)
        with self._file.locked():
            self._catch_up()
            table = self._table(view, known)
            stored, there, _ = table.read(ids)
            accepted = accepts(known, stamps, np.where(there, stored["stamp"], ABSENT), clock)
            records = table.form.pack(values, stamps)[accepted]
            if not table.has_room(len(records)):
                table = self._larger(view, len(records))
            table.write(ids[accepted], records)
        count = int(accepted.sum())
        self._tally.refused(len(ids) - count)
        return count

    def get_online_features(
        self, view: str, entity_ids: ArrayLike, now: ArrayLike
    ) -> OnlineResponse:
        """Reads one row per entity as of `now`; see `FeatureStore.get_online_features`."""
        known = self._view(view)
        ids = check_ids(entity_ids)
        times = check_times("now", now, len(ids))
        form, records, there = self._read(known, ids)
        return self._tally.build_response(form, records, there, times)

    def delete(self, view: str, entity_ids: ArrayLike) -> int:
        """Forgets the rows of these entities; see `FeatureStore.delete`."""
        known = self._view(view)
        ids = check_ids(entity_ids)
        with self._file.locked():
            self._catch_up()
            return self._table(view, known).delete(ids)

    def snapshot(self) -> StoreState:
        """Returns a copy of all views, rows and counters."""
        with self._file.locked():
            self._catch_up()
            rows = []
            for table in self._tables.values():
                ids, records = table.dump()
                values = table.form.values(records)
                rows.append(ViewRows(table.form.view, ids, values, records["stamp"].copy()))
        return pack_state(rows, self.counters)

    def restore(self, state: StoreState) -> None:
        """Replaces all views, rows and counters; see `FeatureStore.restore`."""
        contents, counters = unpack_state(state)
        with self._file.locked():
            self._catch_up()
            before = self._file.catalog
            catalog = Catalog([], list(before.free), before.end)
            for rows in contents:
                form = RecordForm(rows.view)
                records = form.pack(rows.values, rows.event_timestamp)
                self._place(catalog, form, slots_for(len(records)), rows.entity_ids, records)
            for area in before.areas:
                catalog.release(*_piece(area))
            self._file.publish(catalog)
            self._load()
        self._tally.restore(counters)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process, or a copy, opens the same file."""
        if self._arguments[0] is None:
            raise TypeError("a store without a name cannot be copied or sent to another process")
        return type(self), self._arguments

    def __repr__(self) -> str:
        """Tells which file it is."""
        return f"SharedMemoryFeatureStore({str(self.path)!r})"

    def _views(self) -> dict[str, FeatureView]:
        return {name: table.form.view for name, table in self._tables.items()}

    def _view(self, name: str) -> FeatureView:
        self._catch_up()
        if name not in self._tables:
            raise unknown_view(name, self._tables)
        return self._tables[name].form.view

    def _table(self, name: str, view: FeatureView) -> SharedTable:
        """Return a view's table, which another process may have removed or changed meanwhile."""
        table = self._tables.get(name)
        if table is None or table.form.view != view:
            raise unknown_view(name, self._tables)
        return table

    def _catch_up(self) -> None:
        """See what other processes changed; a file made anew is given the views of the old one."""
        self._file.look()
        if self._file.version == self._loaded:
            return
        replaced, known = self._file.version[:2] != self._loaded[:2], self._views()
        self._load()
        if replaced and known.keys() - self._tables.keys():
            with self._file.locked():
                self._load()
                self._add(known)

    def _load(self) -> None:
        """Make tables of the catalog's areas."""
        self._loaded, self._tables = self._file.version, {}
        for area in self._file.catalog.areas:
            form = RecordForm(FeatureView.from_json(area.view))
            words = self._file.area(area.offset, words_for(form, area.capacity))
            self._tables[form.view.name] = SharedTable(form, words, area.capacity)

    def _read(self, view: FeatureView, ids: Int64) -> tuple[RecordForm, Records, Bool]:
        """Return records [B], their form, and which there are; the others are zeros."""
        deadline = 0.0
        while True:
            table = self._table(view.name, view)
            records, there, again = table.read(ids)
            if not self._file.current():  # the rows may have moved meanwhile
                self._catch_up()
            elif not again.any():
                return table.form, records, there
            elif not deadline:
                deadline = time.monotonic() + _PATIENCE_SECONDS
            else:
                with self._file.quiet() as quiet:
                    if quiet and self._file.current():  # what is torn now stays so
                        return table.form, *table.read(ids)[:2]
                if time.monotonic() > deadline:
                    return table.form, records, there
                time.sleep(_PAUSE_SECONDS)

    def _add(self, views: Mapping[str, FeatureView]) -> None:
        """Make areas for views that have none; only under the lock."""
        new = [view for name, view in views.items() if name not in self._tables]
        if new:
            catalog = deepcopy(self._file.catalog)
            for view in new:
                form = RecordForm(view)
                nobody = np.zeros(0, np.int64)
                self._place(catalog, form, slots_for(0), nobody, np.zeros(0, form.dtype))
            self._file.publish(catalog)
            self._load()

    def _larger(self, view: str, rows: int) -> SharedTable:
        """Move a view's rows to where so many more fit; only under the lock."""
        table = self._tables[view]
        ids, records = table.dump()
        catalog = deepcopy(self._file.catalog)
        old = next(area for area in catalog.areas if area.view["name"] == view)
        place = catalog.areas.index(old)
        self._place(catalog, table.form, slots_for(len(ids) + rows), ids, records)
        catalog.areas[place] = catalog.areas.pop()
        catalog.release(*_piece(old))
        self._file.publish(catalog)
        self._load()
        return self._tables[view]

    def _place(
        self, catalog: Catalog, form: RecordForm, capacity: int, ids: Int64, records: Records
    ) -> None:
        """Write rows to an area of their own, which the catalog lists from now on."""
        count = words_for(form, capacity)
        offset = catalog.room(count * WORD)
        self._file.reserve(catalog.end)
        words = self._file.area(offset, count)
        words[:] = 0
        SharedTable(form, words, capacity).write(ids, records)
        catalog.areas.append(Area(form.view.to_json(), offset, capacity))


def _unlink(path: Path, owner: int) -> None:
    """Remove a private store's file; a forked child leaves it to its parent."""
    if os.getpid() == owner:
        path.unlink(missing_ok=True)


def _piece(area: Area) -> tuple[int, int]:
    """Return an area's (offset, bytes)."""
    form = RecordForm(FeatureView.from_json(area.view))
    return area.offset, words_for(form, area.capacity) * WORD
