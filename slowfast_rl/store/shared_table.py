"""A hash table of a view's rows in shared memory, which is read without a lock (a seqlock).

A slot consists of a version, a key and a record. A writer, holding the file's lock, makes the
version odd, writes, and makes the version even again. A reader reads the version, the slot and the
version again; the row is unreadable if the versions differ or are odd, or the checksum is wrong.
"""

import numpy as np

from slowfast_rl.members.arrays import Bool, Int64
from slowfast_rl.store.records import RecordLayout, Records, Words
from slowfast_rl.store.rules import ABSENT

_HEADER_WORDS = (
    8  # words before the slots; the first is the number of used slots, with deleted rows
)
_VERSION, _KEY, _RECORD = 0, 1, 2  # indices of a slot's words
_EMPTY = np.uint64(0)
_ONE = np.uint64(1)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIN_CAPACITY = 1024  # slots
_BATCH = 1024  # rows that are unreadable at the same time during a write
_NO_SLOT = np.int64(-1)


def slots_for(rows: int) -> int:
    """Return a capacity in slots, a power of two and at least 4 times the number of rows."""
    return max(_MIN_CAPACITY, 1 << (4 * rows - 1).bit_length())


def words_for(layout: RecordLayout, capacity: int) -> int:
    """Return the number of words of an area with `capacity` slots."""
    return _HEADER_WORDS + capacity * (_RECORD + layout.num_words)


class SharedTable:
    """A hash table in one area of the file.

    Args:
        layout: the layout of the view's records.
        area: the area's words, which the table changes.
        capacity: the number of slots, a power of two.
    """

    def __init__(self, layout: RecordLayout, area: Words, capacity: int) -> None:
        self.layout, self.capacity = layout, capacity
        self._used = area[:1]
        self._slots = area[_HEADER_WORDS:].reshape(capacity, -1)  # [S, 2 + W]
        self._shift = np.uint64(64 - (capacity - 1).bit_length())

    def read(self, ids: Int64) -> tuple[Records, Bool, Bool]:
        """Return records [B], which of them are present, and which are unreadable.

        Records that are not present are zeros. A row is unreadable while it is being written, or if
        its writer was killed meanwhile.
        """
        keys = _keys(ids)
        slots = self._find(keys)
        known = slots != _NO_SLOT
        before = self._slots[slots, _VERSION]
        copied = self._slots[slots]  # [B, 2 + W]
        after = self._slots[slots, _VERSION]
        records = np.ascontiguousarray(copied[:, _RECORD:]).view(self.layout.dtype)[:, 0]
        intact = (before == after) & (before & _ONE == 0) & (copied[:, _KEY] == keys)
        intact &= self.layout.valid(records)
        present = known & intact & (records["stamp"] != ABSENT)
        if not present.all():
            records[~present] = np.zeros((), self.layout.dtype)
        return records, present, known & ~intact

    def has_capacity(self, rows: int) -> bool:
        """Return whether at least half of the slots stay empty after `rows` new rows."""
        return 2 * (int(self._used[0]) + rows) <= self.capacity

    def write(self, ids: Int64, records: Records) -> None:
        """Write records of distinct ids [B]; the table needs capacity, and the caller the lock."""
        keys = _keys(ids)
        for first in range(0, len(ids), _BATCH):
            batch = slice(first, first + _BATCH)
            self._put(self._claim(keys[batch]), keys[batch], records[batch])

    def delete(self, ids: Int64) -> int:
        """Delete the rows of ids [B] and return their number; the caller must hold the lock."""
        distinct = np.unique(ids)
        leaving = distinct[self.read(distinct)[1]]
        absent = np.full(len(leaving), ABSENT)
        zeros = {
            name: np.zeros((len(leaving), *column.shape), column.dtype)
            for name, column in self.layout.view.columns.items()
        }
        self.write(leaving, self.layout.pack(zeros, absent))
        return len(leaving)

    def dump(self) -> tuple[Int64, Records]:
        """Return all ids [R], ascending, and their records; the caller must hold the lock."""
        keys = np.sort(self._slots[:, _KEY])
        ids = (keys[keys != _EMPTY] - _ONE).astype(np.int64)
        records, present, _ = self.read(ids)
        return ids[present], records[present]

    def _find(self, keys: Words) -> Int64:
        """Return the slots [B] of keys by linear probing, _NO_SLOT for absent keys."""
        found = np.full(len(keys), _NO_SLOT)
        pending, slots = np.arange(len(keys)), self._first_slot(keys)
        while pending.size:
            stored = self._slots[slots, _KEY]
            hit = stored == keys[pending]
            found[pending[hit]] = slots[hit]
            next_slot = ~hit & (stored != _EMPTY)
            pending, slots = pending[next_slot], (slots[next_slot] + 1) & (self.capacity - 1)
        return found

    def _claim(self, keys: Words) -> Int64:
        """Return the slots of distinct keys [B]; new keys get empty slots."""
        slots = self._find(keys)
        pending = np.flatnonzero(slots == _NO_SLOT)
        self._used[0] += np.uint64(pending.size)
        wanted, taken = self._first_slot(keys[pending]), np.zeros(0, np.int64)
        while pending.size:
            free = (self._slots[wanted, _KEY] == _EMPTY) & ~np.isin(wanted, taken)
            _, first = np.unique(wanted, return_index=True)
            is_first = np.zeros(pending.size, np.bool_)
            is_first[first] = True
            assigned = free & is_first
            slots[pending[assigned]] = wanted[assigned]
            taken = np.concatenate([taken, wanted[assigned]])
            pending, wanted = pending[~assigned], wanted[~assigned]
            # A key whose free slot went to another key tries it again and then finds it taken.
            wanted = np.where(free[~assigned], wanted, (wanted + 1) & (self.capacity - 1))
        return slots

    def _put(self, slots: Int64, keys: Words, records: Records) -> None:
        """Write keys [B] and records [B] to slots [B], with odd versions meanwhile."""
        odd = self._slots[slots, _VERSION] | _ONE
        self._slots[slots, _VERSION] = odd
        self._slots[slots, _KEY] = keys
        self._slots[slots, _RECORD:] = self.layout.words(np.ascontiguousarray(records))
        self._slots[slots, _VERSION] = odd + _ONE

    def _first_slot(self, keys: Words) -> Int64:
        """Return the slots [B] where the search for keys begins (Fibonacci hashing)."""
        return np.asarray((keys * _GOLDEN) >> self._shift, np.int64)


def _keys(ids: Int64) -> Words:
    """Return the keys of ids, none of which is _EMPTY."""
    return ids.astype(np.uint64) + _ONE
