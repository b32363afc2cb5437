"""The rows of one view in memory: one array per column, indexed by slot."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.members.arrays import Int64
from slowfast_rl.store.index import NOBODY, EntityIndex
from slowfast_rl.store.rules import ABSENT
from slowfast_rl.store.state import ViewRows
from slowfast_rl.store.views import FeatureView


class Table:
    """The rows of one view. Slot NOBODY holds zeros and the stamp ABSENT, for absent rows."""

    def __init__(self, view: FeatureView) -> None:
        self.view = view
        self.index = EntityIndex()
        self._stamps: Int64 = np.full(NOBODY + 1, ABSENT, np.int64)
        self._columns: dict[str, NDArray[Any]] = {
            name: np.zeros((NOBODY + 1, *column.shape), column.dtype)
            for name, column in view.columns.items()
        }

    def stamps(self, slots: Int64) -> Int64:
        """Return the stamps [B] of the rows in slots [B], ABSENT for NOBODY."""
        return self._stamps.take(slots, mode="clip")

    def values(self, slots: Int64) -> dict[str, NDArray[Any]]:
        """Return copies [B, *shape] of the columns of slots [B], zeros for NOBODY."""
        return {
            name: column.take(slots, axis=0, mode="clip") for name, column in self._columns.items()
        }

    def write(self, ids: Int64, rows: Mapping[str, NDArray[Any]], stamps: Int64) -> None:
        """Write rows [B, *shape] of distinct ids [B] with stamps [B] in seconds."""
        slots = self.claim(ids)
        for name, column in self._columns.items():
            column[slots] = rows[name]
        self._stamps[slots] = stamps

    def claim(self, ids: Int64) -> Int64:
        """Return the slots [B] of distinct ids [B]; ids without a row are given one to fill."""
        slots = self.index.claim(ids)
        if self.index.end > len(self._stamps):
            self._grow(2 * self.index.end)
        return slots

    def arrays(self) -> tuple[Int64, Mapping[str, NDArray[Any]]]:
        """Return the stamps and the columns by slot, not copied; :meth:`claim` may replace them."""
        return self._stamps, self._columns

    def dump(self) -> ViewRows:
        """Return a copy of all rows in ascending order of id."""
        ids, slots = self.index.items()
        return ViewRows(self.view, ids.copy(), self.values(slots), self.stamps(slots))

    def _grow(self, length: int) -> None:
        self._stamps = _longer(self._stamps, length)
        self._columns = {name: _longer(column, length) for name, column in self._columns.items()}


def _longer(array: NDArray[Any], length: int) -> NDArray[Any]:
    longer = np.zeros((length, *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer
