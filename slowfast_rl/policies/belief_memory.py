"""Beliefs about served members, updated from their observations alone."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.belief_update import Tables
from slowfast_rl.members.beliefs import BeliefFilter, Beliefs
from slowfast_rl.members.clock import HORIZON_WEEKS
from slowfast_rl.policies.observation_checks import weekly_check
from slowfast_rl.store.checks import check_distinct, check_ids
from slowfast_rl.store.index import NOBODY, EntityIndex

_BLOCK = 1024  # members whose tables are allocated together, so that growth copies none
_CHUNK = 4096  # members that are updated or read together, which bounds the working memory
_LARGEST = ("response", "dismissal")  # nine tenths of a member's numbers
#: Lowest and highest value of each table that the filter can produce, with room for rounding.
_RANGES = {
    "sensitivity": (1e-31, 1.001), "response": (1e-31, 1.001), "dismissal": (1e-31, 1.001),
    "base": (-100, 100), "base_variance": (0, 1e4), "goodwill": (0, 1.001), "habit": (0, 1.001),
    "fatigue": (0, 1e4),
}  # fmt: skip


class BeliefMemory:
    """Beliefs about members by id; the counts of each week update them once.

    A population updates its members' beliefs itself. A service observes a member only when the
    member has an opportunity or is planned for. The counts of a week in which a member is not
    observed are missing from its beliefs. A member that is first observed after its first week
    starts with the beliefs about a new member, updated with the counts of the last week.

    Args:
        belief_filter: creates and updates the beliefs.
        compact: whether to hold the two largest tables as logarithms in half precision: about 1.3
            kB a member instead of 2.4 kB, for belief features that differ in the third digit.
    """

    def __init__(self, belief_filter: BeliefFilter, *, compact: bool = False) -> None:
        self._filter, self._compact = belief_filter, compact
        self._clear()

    def __len__(self) -> int:
        """Return the number of members about whom there are beliefs."""
        return len(self._index.items()[0])

    @property
    def bytes_per_member(self) -> int:
        """Bytes that the beliefs about one member take, without the index of ids."""
        return sum(
            int(np.prod(shape)) * np.dtype(kind).itemsize
            for shape, kind in zip(self._shapes, self._kinds, strict=True)
        )

    def take_in(self, entity_ids: Int64, weeks: Int64, observations: Float32) -> None:
        """Update the beliefs about members that are observed for the first time in their week.

        Args:
            entity_ids: [B] member ids, none twice.
            weeks: [B] the week of each member.
            observations: [B, F_week] weekly observations, with the counts of the last week.

        Raises:
            ValueError: an observation that is due is not finite or outside its bounds; then no
                beliefs are changed.
        """
        slots = self._index.find(entity_ids)
        due = np.flatnonzero((slots == NOBODY) | (self._weeks[slots] < weeks))
        if not due.size:
            return
        parts = np.split(due, range(_CHUNK, due.size, _CHUNK))
        check = weekly_check(self._filter.world)
        for rows in parts:
            check.check(observations[rows], entity_ids[rows])
        for rows in parts:
            self._update(entity_ids[rows], weeks[rows], observations[rows])

    def belief_observation(self, entity_ids: Int64) -> Float32:
        """Return the belief features of B members that were observed before, [B, F_belief]."""
        slots = self._index.find(entity_ids)
        out = np.empty((len(slots), len(self._filter.features)), np.float32)
        for first in range(0, len(slots), _CHUNK):
            some = slice(first, first + _CHUNK)
            out[some] = self._beliefs(self._take(slots[some])).observations()
        return out

    def forget(self, entity_ids: Int64) -> None:
        """Delete the beliefs about some members."""
        self._index.release(entity_ids)

    def forget_unobserved(self, since: int) -> Int64:
        """Delete the beliefs about members that were not observed since a week.

        Args:
            since: the week; who was last observed before it is forgotten.

        Returns:
            [B] the ids of the members that were forgotten.
        """
        ids, slots = self._index.items()
        idle = np.array(ids[self._weeks[slots] < since])
        self.forget(idle)
        return idle

    def parts(self, size: int) -> Iterator[dict[str, NDArray[Any]]]:
        """Yield :meth:`state` in parts of at most ``size`` members, in ascending order of id."""
        ids, slots = self._index.items()
        for first in range(0, len(ids), size):
            some = slice(first, first + size)
            tables = self._take(slots[some])._asdict()
            known = {"ids": ids[some].copy(), "weeks": self._weeks[slots[some]]}
            yield known | {f"tables.{name}": table for name, table in tables.items()}

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of all beliefs as arrays by name, in ascending order of id."""
        ids, slots = self._index.items()
        known = {"ids": ids.copy(), "weeks": self._weeks[slots]}
        tables = self._take(slots)._asdict()
        return known | {f"tables.{name}": table for name, table in tables.items()}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Replace all beliefs by the :meth:`state` of another memory.

        Raises:
            ValueError: as :meth:`add`; then nothing is changed.
        """
        restored = BeliefMemory(self._filter, compact=self._compact)
        restored.add(arrays)
        self.__dict__.update(restored.__dict__)

    def add(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Add the beliefs of a :meth:`state` about members that are not known yet.

        Raises:
            ValueError: an array is missing, of another shape or type, or has a value that beliefs
                cannot have, or a member is known; then nothing is changed.
        """
        count = len(arrays["ids"]) if "ids" in arrays else 0
        prior = self._filter.begin(1)
        wanted = {"ids": ((count,), np.dtype(np.int64)), "weeks": ((count,), np.dtype(np.int64))}
        wanted |= {
            f"tables.{name}": ((count, *t.shape[1:]), t.dtype)
            for name, t in prior._asdict().items()
        }
        for name, (shape, dtype) in wanted.items():
            found = arrays.get(name)
            if found is None or found.shape != shape or found.dtype != dtype:
                raise ValueError(f"beliefs have no {name} of {dtype}, shape {shape}")
        ids = np.array(check_ids(arrays["ids"]))
        check_distinct(ids)
        known = self._index.find(ids) != NOBODY
        if known.any():
            raise ValueError(f"beliefs have member {ids[known][0]} twice; allowed is once")
        _check_range("weeks", arrays["weeks"], 0, HORIZON_WEEKS - 1)
        for name, (low, high) in _RANGES.items():
            _check_range(f"tables.{name}", arrays[f"tables.{name}"], low, high)
        slots = self._index.claim(ids)
        self._make_room()
        self._weeks[slots] = arrays["weeks"]
        self._put(slots, Tables(*(arrays[f"tables.{name}"] for name in prior._fields)))

    def _clear(self) -> None:
        self._shapes = [table.shape[1:] for table in self._filter.begin(1)]  # of a member's tables
        self._kinds = [np.float16 if self._logs(name) else np.float32 for name in Tables._fields]
        self._blocks: list[Tables] = []
        self._weeks = np.zeros(NOBODY + 1, np.int64)  # [R] the last week whose counts were used
        self._index = EntityIndex()

    def _update(self, entity_ids: Int64, weeks: Int64, observations: Float32) -> None:
        """Update the beliefs about members that are due."""
        new = self._index.find(entity_ids) == NOBODY
        slots = self._index.claim(entity_ids)
        self._make_room()
        self._put(slots[new], self._filter.begin(int(new.sum())))
        self._weeks[slots[new]] = np.maximum(weeks[new] - 1, 0)
        due = self._weeks[slots] < weeks  # not in a member's first week, which has no last one
        seen = self._beliefs(self._take(slots[due]))
        seen.update_from_observations(observations[due])
        self._put(slots[due], seen.tables)
        self._weeks[slots] = weeks

    def _beliefs(self, tables: Tables) -> Beliefs:
        beliefs = Beliefs(self._filter, 0)
        beliefs.tables = tables
        return beliefs

    def _take(self, slots: Int64) -> Tables:
        """Return copies of the tables in slots [B]."""
        taken = Tables(*(np.empty((len(slots), *shape), np.float32) for shape in self._shapes))
        for block, places, rows in self._by_block(slots):
            for name, table, held in zip(Tables._fields, taken, block, strict=True):
                some = held[rows]
                table[places] = np.exp(some, dtype=np.float32) if self._logs(name) else some
        return taken

    def _put(self, slots: Int64, tables: Tables) -> None:
        """Overwrite the tables in slots [B]."""
        for block, places, rows in self._by_block(slots):
            for name, table, held in zip(Tables._fields, tables, block, strict=True):
                some = table[places]
                held[rows] = np.log(some) if self._logs(name) else some

    def _logs(self, name: str) -> bool:
        """Return whether a table is held as logarithms in half precision."""
        return self._compact and name in _LARGEST

    def _by_block(self, slots: Int64) -> Iterator[tuple[Tables, Int64, Int64]]:
        """Yield each block of slots [B], the places of its slots in the batch, and its rows."""
        numbers, rows = np.divmod(slots, _BLOCK)
        for number in np.unique(numbers):
            places = np.flatnonzero(numbers == number)
            yield self._blocks[number], places, rows[places]

    def _make_room(self) -> None:
        """Add blocks so that there is a row for every slot in use."""
        end = self._index.end
        while len(self._blocks) * _BLOCK < end:
            shaped = zip(self._shapes, self._kinds, strict=True)
            self._blocks.append(Tables(*(np.empty((_BLOCK, *s), kind) for s, kind in shaped)))
        if len(self._weeks) < end:
            longer = np.zeros(2 * end, np.int64)
            longer[: len(self._weeks)] = self._weeks
            self._weeks = longer


def _check_range(name: str, values: NDArray[Any], low: float, high: float) -> None:
    """Raise ValueError where a value of beliefs is outside low to high, or NaN."""
    inside = (values >= low) & (values <= high)
    if not inside.all():
        raise ValueError(
            f"beliefs have {name} = {values[~inside][0]:g}; allowed is {low:g} to {high:g}"
        )
