"""From entity ids to the slots that hold their rows, a batch at a time.

Member ids usually fill a range, and then a table answers with one gather. Where ids are too sparse
for a table, a sorted list answers by binary search.
"""

import numpy as np

from slowfast_rl.members.arrays import Int64

NOBODY = 0  # the slot of every absent id
_SPAN_PER_ID = 4  # a table may be this many times longer than the ids it holds
_FREE_SPAN = 1 << 16  # and this much longer in any case: half a megabyte
_NONE = np.zeros(0, np.int64)


class _Table:
    """Slots by id, for ids from `base` on: one gather for a batch."""

    def __init__(self, base: int, length: int) -> None:
        self._base = base
        self._slots = np.zeros(length, np.int64)

    def covers(self, low: int, high: int) -> bool:
        return self._base <= low and high - self._base < len(self._slots)

    def find(self, ids: Int64) -> Int64:
        offset = ids - self._base if self._base else ids
        if np.maximum.reduce(offset.view(np.uint64), initial=0) < len(self._slots):
            return self._slots.take(offset, mode="clip")  # clip only skips a second check
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
    """Slots by binary search, for ids however far apart."""

    def __init__(self) -> None:
        self._ids, self._slots = _NONE, _NONE

    def covers(self, low: int, high: int) -> bool:
        return False  # so that every claim asks whether a table would do by now

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
    """Gives each entity a slot, from 1 up, and gives released slots out again."""

    def __init__(self) -> None:
        self._lookup: _Table | _SortedList = _Table(base=0, length=1)
        self._released = _NONE
        self._end = 1

    @property
    def end(self) -> int:
        """One past the highest slot ever given."""
        return self._end

    def find(self, ids: Int64) -> Int64:
        """Returns fresh slots [B] of ids [B] >= 0, NOBODY for absent ones."""
        return self._lookup.find(ids)

    def claim(self, ids: Int64) -> Int64:
        """Returns slots [B] of distinct ids [B] >= 0, new ones for those that had none."""
        slots = self.find(ids)
        new = slots == NOBODY
        count = int(np.count_nonzero(new))
        if count:
            fresh = self._new_slots(count)
            slots[new] = fresh
            newcomers = ids[new]
            self._make_room(newcomers)
            self._lookup.put(newcomers, fresh)
        return slots

    def release(self, ids: Int64) -> int:
        """Forgets ids [B], absent ones and repeats included; returns how many were there."""
        leaving = np.unique(ids[self.find(ids) != NOBODY])
        self._released = np.concatenate([self._released, self.find(leaving)])
        self._lookup.drop(leaving)
        return len(leaving)

    def items(self) -> tuple[Int64, Int64]:
        """Returns all ids [R] in rising order and their slots [R]."""
        return self._lookup.items()

    def _new_slots(self, count: int) -> Int64:
        again, self._released = self._released[:count], self._released[count:]
        never = count - len(again)
        self._end += never
        return np.concatenate([again, np.arange(self._end - never, self._end)])

    def _make_room(self, newcomers: Int64) -> None:
        low, high = int(newcomers.min()), int(newcomers.max())
        if self._lookup.covers(low, high):
            return
        ids, slots = self.items()
        if ids.size:
            low, high = min(low, int(ids[0])), max(high, int(ids[-1]))
        span = high - low + 1
        if span <= _FREE_SPAN + _SPAN_PER_ID * (len(ids) + len(newcomers)):
            base = 0 if low <= span else low
            self._lookup = _Table(base, high + 1 - base + span)  # room above: ids mostly grow
        elif isinstance(self._lookup, _Table):
            self._lookup = _SortedList()
        else:
            return
        self._lookup.put(ids, slots)
