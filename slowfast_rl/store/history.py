"""A history of accepted writes on top of any backend, for point-in-time joins."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slowfast_rl.members.arrays import Bool, Int64
from slowfast_rl.store.checks import check_ids, check_times
from slowfast_rl.store.protocol import FeatureStore, OnlineResponse, Status, StoreState
from slowfast_rl.store.rules import ABSENT, status_of, validate_write
from slowfast_rl.store.views import FeatureView, registered, unknown_view


class FeatureHistory:
    """A `FeatureStore` that forwards calls to a backend and keeps every accepted write in memory.

    Backends hold online rows only; training sets come from this history. A row is known from the
    writer's clock on (Feast's created timestamp), not from its stamp: a plan stamped Monday but
    written on Wednesday is not joined to a decision on Tuesday. ``delete`` also deletes an entity's
    history, because the entity's time begins again at 0. When the backend accepts a part of a
    batch, this class reads the rows once to find which, and the backend counts that read.

    Args:
        store: the backend.
    """

    def __init__(self, store: FeatureStore) -> None:
        self.store = store
        self._views: dict[str, FeatureView] = {}
        self._parts: dict[str, list[_Rows]] = {}

    @property
    def counters(self) -> Mapping[str, int]:
        """The backend's counters."""
        return self.store.counters

    def apply(self, views: Iterable[FeatureView]) -> None:
        """Register views; see `FeatureStore.apply`."""
        wanted = registered(self._views, views)
        self.store.apply(wanted.values())
        self._views = wanted
        for name in wanted:
            self._parts.setdefault(name, [])

    def write_to_online_store(
        self,
        view: str,
        entity_ids: ArrayLike,
        rows: Mapping[str, ArrayLike],
        event_timestamp: ArrayLike,
    ) -> int:
        """Write one row per entity; see `FeatureStore.write_to_online_store`."""
        ids, values, stamps, clock = validate_write(
            self._view(view), entity_ids, rows, event_timestamp
        )
        count = self.store.write_to_online_store(view, entity_ids, rows, event_timestamp)
        if count == 0:
            return count
        part = _Rows(ids, stamps, clock, values)
        if count < len(ids):
            part = part.take(self._accepted(view, part))
        self._parts[view].append(part.take(slice(None)))  # copies the caller's arrays
        return count

    def get_online_features(
        self, view: str, entity_ids: ArrayLike, now: ArrayLike
    ) -> OnlineResponse:
        """Read one row per entity as of `now`; see `FeatureStore.get_online_features`."""
        return self.store.get_online_features(view, entity_ids, now)

    def get_historical_features(
        self, entity_ids: ArrayLike, timestamps: ArrayLike, view: str
    ) -> OnlineResponse:
        """Return, for each of B decisions, the row that a reader would have found at its time.

        Args:
            entity_ids: [B] entities of the decisions; an id may come any number of times.
            timestamps: the decisions' times in seconds, a scalar or [B].
            view: a registered view.

        Returns:
            One row per decision, in order: NOT_FOUND and zeros where no row was known by then.

        Raises:
            ValueError: as `get_online_features` does.
        """
        known, ids = self._view(view), check_ids(entity_ids)
        times = np.broadcast_to(
            np.asarray(check_times("timestamps", timestamps, len(ids))), ids.shape
        )
        history = _concatenated(known, self._parts[view])
        row = _last_known(history, ids, times)  # [B], -1 for none
        found = row >= 0
        stamps = np.where(found, history.stamps[row] if found.any() else ABSENT, ABSENT)
        status = status_of(times - stamps, known.max_age_seconds)
        present = status != Status.NOT_FOUND
        values = {}
        for name, column in known.columns.items():
            values[name] = np.zeros((len(ids), *column.shape), column.dtype)
            values[name][present] = history.values[name][row[present]]
        return OnlineResponse(values, status, np.where(present, stamps, 0))

    def delete(self, view: str, entity_ids: ArrayLike) -> int:
        """Delete the rows of these entities and their history; see `FeatureStore.delete`."""
        count = self.store.delete(view, entity_ids)
        deleted = check_ids(entity_ids)
        parts = [part.take(~np.isin(part.entity_ids, deleted)) for part in self._parts[view]]
        self._parts[view] = [part for part in parts if part.entity_ids.size]
        return count

    def snapshot(self) -> StoreState:
        """Return the backend's rows; the history is not part of it."""
        return self.store.snapshot()

    def restore(self, state: StoreState) -> None:
        """Replace the backend's rows; the history of unchanged views is kept."""
        self.store.restore(state)
        views, before = map(FeatureView.from_json, state.metadata["views"]), self._views
        self._views = {view.name: view for view in views}
        self._parts = {
            name: self._parts.get(name, []) if view == before.get(name) else []
            for name, view in self._views.items()
        }

    def _view(self, name: str) -> FeatureView:
        if name not in self._views:
            raise unknown_view(name, self._views)
        return self._views[name]

    def _accepted(self, view: str, part: "_Rows") -> Bool:
        """Return which rows [R] of a batch the backend accepted: those that it holds now."""
        held = self.store.get_online_features(view, part.entity_ids, part.clock)
        same = held.event_timestamp == part.stamps
        for name, column in part.values.items():
            other = held.values[name]
            equal = (other == column) | ((other != other) & (column != column))  # NaN is NaN
            same &= equal.reshape(len(equal), -1).all(axis=1)
        return np.asarray(same & (held.status != Status.NOT_FOUND))


class _Rows:
    """Rows of a view: ids [R], stamps [R], the writer's clock [R], columns [R, *shape]."""

    def __init__(
        self, entity_ids: Int64, stamps: Int64, clock: Int64, values: dict[str, NDArray[Any]]
    ) -> None:
        self.entity_ids, self.stamps, self.clock, self.values = entity_ids, stamps, clock, values

    def take(self, rows: Any) -> "_Rows":
        """Return a copy of some rows."""
        return _Rows(
            np.array(self.entity_ids[rows]),
            np.array(self.stamps[rows]),
            np.array(self.clock[rows]),
            {name: np.array(column[rows]) for name, column in self.values.items()},
        )


def _concatenated(view: FeatureView, parts: list[_Rows]) -> _Rows:
    """Return all parts concatenated, in the order in which they were accepted."""
    nothing = np.zeros(0, np.int64)
    empty = _Rows(
        nothing,
        nothing,
        nothing,
        {n: np.zeros((0, *c.shape), c.dtype) for n, c in view.columns.items()},
    )
    every = [empty, *parts]
    return _Rows(
        np.concatenate([part.entity_ids for part in every]),
        np.concatenate([part.stamps for part in every]),
        np.concatenate([part.clock for part in every]),
        {n: np.concatenate([part.values[n] for part in every]) for n in view.columns},
    )


def _last_known(history: _Rows, entity_ids: Int64, times: Int64) -> Int64:
    """Return, per decision [B], the index of its entity's last row known by then, or -1."""
    rows, count = len(history.entity_ids), len(entity_ids)
    entity = np.concatenate([history.entity_ids, entity_ids])
    time = np.concatenate([history.clock, times])
    # At equal times, rows sort before decisions.
    is_decision = np.repeat([False, True], [rows, count])
    order = np.lexsort((np.arange(rows + count), is_decision, time, entity))
    place = np.where(is_decision[order], -1, np.arange(rows + count))  # sorted position
    last = np.maximum.accumulate(place)
    sorted_entity = entity[order]
    same = (last >= 0) & (sorted_entity[np.maximum(last, 0)] == sorted_entity)
    row_of = np.where(same, order[np.maximum(last, 0)], -1)
    found = np.empty(rows + count, np.int64)
    found[order] = row_of
    return found[rows:]
