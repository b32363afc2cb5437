"""A view's rows in shared memory: a hash table that is read without a lock.

A slot is a version, a key and a record. Its writer makes the version odd, writes, and makes it
even again; a reader takes version, slot, version, and looks once more where they differ, are odd,
or do not go with the checksum. Writers hold the file's lock.
"""

import numpy as np

from slowfast_rl.members.arrays import Bool, Int64
from slowfast_rl.store.records import RecordForm, Records, Words
from slowfast_rl.store.rules import ABSENT

_AHEAD = 8  # words before the slots; the first counts those in use, deleted rows included
_VERSION, _KEY, _RECORD = 0, 1, 2  # words of a slot
_EMPTY = np.uint64(0)
_ONE = np.uint64(1)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_LEAST = 1024  # slots
_BATCH = 1024  # rows made unreadable at a time
_NOWHERE = np.int64(-1)


def slots_for(rows: int) -> int:
    """Return a capacity, a power of two, at most a quarter of which so many rows fill."""
    return max(_LEAST, 1 << (4 * rows - 1).bit_length())


def words_for(form: RecordForm, capacity: int) -> int:
    """Return the words of an area."""
    return _AHEAD + capacity * (_RECORD + form.num_words)


class SharedTable:
    """One area of the file, seen as slots.

    Args:
        form: of the view's records.
        area: the area's words, not copied.
        capacity: its slots, a power of two.
    """

    def __init__(self, form: RecordForm, area: Words, capacity: int) -> None:
        self.form, self.capacity = form, capacity
        self._used = area[:1]
        self._slots = area[_AHEAD:].reshape(capacity, -1)  # [S, 2 + W]
        self._shift = np.uint64(64 - (capacity - 1).bit_length())

    def read(self, ids: Int64) -> tuple[Records, Bool, Bool]:
        """Return records [B], which of them there are, and which must be read again.

        Those that are not there are zeros; what must be read again was being written, or was left
        half written by a writer that is no more.
        """
        keys = _keys(ids)
        slots = self._find(keys)
        known = slots != _NOWHERE
        before = self._slots[slots, _VERSION]
        copied = self._slots[slots]  # [B, 2 + W]
        after = self._slots[slots, _VERSION]
        records = np.ascontiguousarray(copied[:, _RECORD:]).view(self.form.dtype)[:, 0]
        whole = (before == after) & (before & _ONE == 0) & (copied[:, _KEY] == keys)
        whole &= self.form.valid(records)
        there = known & whole & (records["stamp"] != ABSENT)
        if not there.all():
            records[~there] = np.zeros((), self.form.dtype)
        return records, there, known & ~whole

    def has_room(self, rows: int) -> bool:
        """Return whether so many new rows leave half of the slots empty."""
        return 2 * (int(self._used[0]) + rows) <= self.capacity

    def write(self, ids: Int64, records: Records) -> None:
        """Put records of distinct ids [B] in place; there must be room, and the lock be held."""
        keys = _keys(ids)
        for first in range(0, len(ids), _BATCH):
            batch = slice(first, first + _BATCH)
            self._put(self._claim(keys[batch]), keys[batch], records[batch])

    def delete(self, ids: Int64) -> int:
        """Forget rows of ids [B], the lock held; return how many were there."""
        distinct = np.unique(ids)
        leaving = distinct[self.read(distinct)[1]]
        gone = np.full(len(leaving), ABSENT)
        nothing = {
            name: np.zeros((len(leaving), *column.shape), column.dtype)
            for name, column in self.form.view.columns.items()
        }
        self.write(leaving, self.form.pack(nothing, gone))
        return len(leaving)

    def dump(self) -> tuple[Int64, Records]:
        """Return all ids [R] in rising order and their records [R], the lock held."""
        keys = np.sort(self._slots[:, _KEY])
        ids = (keys[keys != _EMPTY] - _ONE).astype(np.int64)
        records, there, _ = self.read(ids)
        return ids[there], records[there]

    def _find(self, keys: Words) -> Int64:
        """Return the slots [B] of keys, NOWHERE for absent ones."""
        found = np.full(len(keys), _NOWHERE)
        asked, slots = np.arange(len(keys)), self._home(keys)
        while asked.size:
            here = self._slots[slots, _KEY]
            hit = here == keys[asked]
            found[asked[hit]] = slots[hit]
            on = ~hit & (here != _EMPTY)
            asked, slots = asked[on], (slots[on] + 1) & (self.capacity - 1)
        return found

    def _claim(self, keys: Words) -> Int64:
        """Return the slots of distinct keys [B], empty ones for new keys."""
        slots = self._find(keys)
        asked = np.flatnonzero(slots == _NOWHERE)
        self._used[0] += np.uint64(asked.size)
        wanted, taken = self._home(keys[asked]), np.zeros(0, np.int64)
        while asked.size:
            free = (self._slots[wanted, _KEY] == _EMPTY) & ~np.isin(wanted, taken)
            _, first = np.unique(wanted, return_index=True)
            alone = np.zeros(asked.size, np.bool_)
            alone[first] = True
            wins = free & alone
            slots[asked[wins]] = wanted[wins]
            taken = np.concatenate([taken, wanted[wins]])
            asked, wanted = asked[~wins], wanted[~wins]
            # Whoever lost to a newcomer looks at the same slot again and finds it taken.
            wanted = np.where(free[~wins], wanted, (wanted + 1) & (self.capacity - 1))
        return slots

    def _put(self, slots: Int64, keys: Words, records: Records) -> None:
        odd = self._slots[slots, _VERSION] | _ONE
        self._slots[slots, _VERSION] = odd
        self._slots[slots, _KEY] = keys
        self._slots[slots, _RECORD:] = self.form.words(np.ascontiguousarray(records))
        self._slots[slots, _VERSION] = odd + _ONE

    def _home(self, keys: Words) -> Int64:
        return np.asarray((keys * _GOLDEN) >> self._shift, np.int64)


def _keys(ids: Int64) -> Words:
    """Return keys, none of which is EMPTY."""
    return ids.astype(np.uint64) + _ONE
