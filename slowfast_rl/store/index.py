"""Mapping of entity ids to the slots that hold their rows, for batches of ids.

Member ids usually fill a range, which a table indexed by id serves with one gather. Where ids are
too sparse for a table, a sorted list is searched by bisection.
"""

import numpy as np

from slowfast_rl.members.arrays import Int64
from slowfast_rl.store.checks import within

NOBODY = 0  # the slot returned for every absent id
_SPAN_PER_ID = 4  # a table may be this many times longer than the number of its ids
_MIN_SPAN = 1 << 16  # plus this length, half a megabyte
_NO_IDS = np.zeros(0, np.int64)


class _Table:
    """An array of slots indexed by id - `base`."""

    def __init__(self, base: int, length: int) -> None:
        self._base = base
        self._slots = np.zeros(length, np.int64)

    def covers(self, low: int, high: int) -> bool:
        return self._base <= low and high - self._base < len(self._slots)

    def find(self, ids: Int64) -> Int64:
        offset = ids - self._base if self._base else ids
        if within(offset, len(self._slots)):
            return self._slots.take(offset, mode="clip")  # in range: clip saves a check
        inside = (offset >= 0) & (offset < len(self._slots))
        return np.where(inside, self._slots.take(offset, mode="clip"), NOBODY)

    def put(self, ids: Int64, slots: Int64) -> None:
        self._slots[ids - self._base] = slots

    def drop(self, ids: Int64) -> None:
        self._slots[ids - self._base] = NOBODY

    def items(self) -> tuple[Int64, Int64]:
        offset = np.flatnonzero(self._slots)
        return offset + self._base, self._slots[offset]


class _SortedList:
    """Slots of sorted ids, found by bisection, for sparse ids."""

    def __init__(self) -> None:
        self._ids, self._slots = _NO_IDS, _NO_IDS

    def covers(self, low: int, high: int) -> bool:
        return False  # so that every claim checks whether a table is possible now

    def find(self, ids: Int64) -> Int64:
        if not self._ids.size:
            return np.zeros(len(ids), np.int64)
        place = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        return np.where(self._ids[place] == ids, self._slots[place], NOBODY)

    def put(self, ids: Int64, slots: Int64) -> None:
        order = np.argsort(ids)
        place = np.searchsorted(self._ids, ids[order])
        self._ids = np.insert(self._ids, place, ids[order])
        self._slots = np.insert(self._slots, place, slots[order])

    def drop(self, ids: Int64) -> None:
        place = np.searchsorted(self._ids, ids)
        self._ids = np.delete(self._ids, place)
        self._slots = np.delete(self._slots, place)

    def items(self) -> tuple[Int64, Int64]:
        return self._ids, self._slots


class EntityIndex:
    """Assigns slots to entities, from 1 on; released slots are assigned again."""

    def __init__(self) -> None:
        self._lookup: _Table | _SortedList = _Table(base=0, length=1)
        self._released = _NO_IDS
        self._end = 1

    @property
    def end(self) -> int:
        """One more than the highest slot ever assigned."""
        return self._end

    def find(self, ids: Int64) -> Int64:
        """Return a new array of the slots [B] of ids [B] >= 0, NOBODY for absent ids."""
        return self._lookup.find(ids)

    def claim(self, ids: Int64) -> Int64:
        """Return the slots [B] of distinct ids [B] >= 0; absent ids are assigned new slots."""
        slots = self.find(ids)
        new = slots == NOBODY
        count = int(np.count_nonzero(new))
        if count:
            fresh = self._new_slots(count)
            slots[new] = fresh
            new_ids = ids[new]
            self._extend_lookup(new_ids)
            self._lookup.put(new_ids, fresh)
        return slots

    def release(self, ids: Int64) -> int:
        """Release the slots of ids [B], which may be absent or repeated.

        Returns:
            The number of ids that had a slot.
        """
        leaving = np.unique(ids[self.find(ids) != NOBODY])
        self._released = np.concatenate([self._released, self.find(leaving)])
        self._lookup.drop(leaving)
        return len(leaving)

    def items(self) -> tuple[Int64, Int64]:
        """Return all ids [R] in ascending order and their slots [R]."""
        return self._lookup.items()

    def _new_slots(self, count: int) -> Int64:
        """Return `count` unused slots, released ones first."""
        reused, self._released = self._released[:count], self._released[count:]
        added = count - len(reused)
        self._end += added
        return np.concatenate([reused, np.arange(self._end - added, self._end)])

    def _extend_lookup(self, new_ids: Int64) -> None:
        """Replace the lookup by one that can hold new ids, if the present one cannot."""
        low, high = int(new_ids.min()), int(new_ids.max())
        if self._lookup.covers(low, high):
            return
        ids, slots = self.items()
        if ids.size:
            low, high = min(low, int(ids[0])), max(high, int(ids[-1]))
        span = high - low + 1
        if span <= _MIN_SPAN + _SPAN_PER_ID * (len(ids) + len(new_ids)):
            base = 0 if low <= span else low
            self._lookup = _Table(base, high + 1 - base + span)  # spare length: ids mostly grow
        elif isinstance(self._lookup, _Table):
            self._lookup = _SortedList()
        else:
            return
        self._lookup.put(ids, slots)
