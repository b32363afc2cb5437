"""A hash table of a view's rows in shared memory, which is read without a lock (a seqlock).

A slot consists of a version and a record, which contains the key of its entity. A writer, holding
the file's lock, makes the version odd, writes, and makes the version even again. A reader reads the
version, the slot and the version again; the row is unreadable if the versions differ or are odd, or
the checksum is wrong.

At most half of the slots are used, so that a search for a key ends after a few slots. A table in
which more are used is damaged: a search that gets long checks that, and no search is longer than
the table.
"""

import numpy as np

from slowfast_rl.members.arrays import Bool, Int64
from slowfast_rl.store.records import KEY_WORD, RecordLayout, Records, Words, keys_of
from slowfast_rl.store.rules import ABSENT

_HEADER_WORDS = (
    8  # words before the slots; the first is the number of used slots, with deleted rows
)
_VERSION, _RECORD = 0, 1  # indices of a slot's words
_KEY = _RECORD + KEY_WORD
_EMPTY = np.uint64(0)
_ONE = np.uint64(1)
_LAST_KEY = np.uint64(1 << 63)  # of the largest id
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIN_CAPACITY = 1024  # slots
_LONG_SEARCH = 64  # slots after which a search checks that the table is not too full
_BATCH = 1024  # rows that are unreadable at the same time during a write
_NO_SLOT = np.int64(-1)


def slots_for(rows: int) -> int:
    """Return a capacity in slots, a power of two and at least 4 times the number of rows."""
    return max(_MIN_CAPACITY, 1 << (4 * rows - 1).bit_length())


class DamagedTableError(Exception):
    """More slots of a table are used than any sequence of writes leaves."""


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

        Raises:
            DamagedTableError: more than half of the slots are used.
        """
        keys = keys_of(ids)
        slots = self._find(keys)
        known = slots != _NO_SLOT
        before = self._slots[slots, _VERSION]
        copied = self._slots[slots]  # [B, 2 + W]
        after = self._slots[slots, _VERSION]
        records = np.ascontiguousarray(copied[:, _RECORD:]).view(self.layout.dtype)[:, 0]
        intact = (before == after) & (before & _ONE == 0) & self.layout.valid(records, keys)
        present = known & intact & (records["stamp"] >= 0)  # a deleted row is stamped ABSENT
        if not present.all():
            records[~present] = np.zeros((), self.layout.dtype)
        return records, present, known & ~intact

    def has_capacity(self, rows: int) -> bool:
        """Return whether at least half of the slots stay empty after `rows` new rows."""
        return 2 * (int(self._used[0]) + rows) <= self.capacity

    def write(self, ids: Int64, records: Records) -> None:
        """Write records of distinct ids [B]; the table needs capacity, and the caller the lock.

        Raises:
            DamagedTableError: more than half of the slots are used.
        """
        keys = keys_of(ids)
        for first in range(0, len(ids), _BATCH):
            batch = slice(first, first + _BATCH)
            self._put(self._claim(keys[batch]), records[batch])

    def delete(self, ids: Int64) -> int:
        """Delete the rows of ids [B] and return their number; the caller must hold the lock."""
        distinct = np.unique(ids)
        leaving = distinct[self.read(distinct)[1]]
        absent = np.full(len(leaving), ABSENT)
        zeros = {
            name: np.zeros((len(leaving), *column.shape), column.dtype)
            for name, column in self.layout.view.columns.items()
        }
        self.write(leaving, self.layout.pack(leaving, zeros, absent))
        return len(leaving)

    def dump(self) -> tuple[Int64, Records]:
        """Return all ids [R], ascending, and their records; the caller must hold the lock."""
        used = self._slots[self._slots[:, _KEY] != _EMPTY]
        records = np.ascontiguousarray(used[:, _RECORD:]).view(self.layout.dtype)[:, 0]
        keys = used[:, _KEY]
        whole = (used[:, _VERSION] & _ONE == 0) & self.layout.valid(records, keys)
        whole &= (records["stamp"] >= 0) & (keys <= _LAST_KEY)
        # A writer that was killed may have left a key in two slots.
        distinct, first = np.unique(keys[whole], return_index=True)
        return (distinct - _ONE).astype(np.int64), records[whole][first]

    def _find(self, keys: Words) -> Int64:
        """Return the slots [B] of keys by linear probing, _NO_SLOT for absent keys."""
        found = np.full(len(keys), _NO_SLOT)
        pending, slots = np.arange(len(keys)), self._first_slot(keys)
        steps = 0
        while pending.size:
            self._check_search(steps)
            steps += 1
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
        steps = 0
        while pending.size:
            self._check_search(steps // 2)  # a slot is tried twice if another key took it
            steps += 1
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

    def _check_search(self, steps: int) -> None:
        """Check a search that has tried `steps` slots.

        Raises:
            DamagedTableError: it tried all slots, or many, and more than half are used.
        """
        if steps < _LONG_SEARCH:
            return
        used = steps == _LONG_SEARCH and np.count_nonzero(self._slots[:, _KEY])
        if steps > self.capacity or 2 * used > self.capacity:
            raise DamagedTableError(self.layout.view.name)

    def _put(self, slots: Int64, records: Records) -> None:
        """Write records [B] to slots [B], with odd versions meanwhile."""
        odd = self._slots[slots, _VERSION] | _ONE
        self._slots[slots, _VERSION] = odd
        self._slots[slots, _RECORD:] = self.layout.words(np.ascontiguousarray(records))
        self._slots[slots, _VERSION] = odd + _ONE

    def _first_slot(self, keys: Words) -> Int64:
        """Return the slots [B] where the search for keys begins (Fibonacci hashing)."""
        return np.asarray((keys * _GOLDEN) >> self._shift, np.int64)
