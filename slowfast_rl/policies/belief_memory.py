"""Beliefs of served members, kept up to date from their observations alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.beliefs import BeliefFilter, Beliefs
from slowfast_rl.members.state import put_rows
from slowfast_rl.store.index import EntityIndex


class BeliefMemory:
    """What is believed of each member, by id; each week's counts are taken in once.

    A population keeps its members' beliefs itself; a service sees members only when they come. A
    week in which a member is not seen is lost to the beliefs. Whoever is first seen after the
    first week is believed to be new but for the last week's counts.

    Args:
        belief_filter: makes and updates the beliefs.
    """

    def __init__(self, belief_filter: BeliefFilter) -> None:
        self._beliefs = Beliefs(belief_filter, 1)
        self._weeks = np.zeros(1, np.int64)  # [R] up to which counts were taken in
        self._index = EntityIndex()

    def take_in(self, entity_ids: Int64, weeks: Int64, observations: Float32) -> None:
        """Take in the last week's counts of the members that come for the first time this week.

        Args:
            entity_ids: [B] member ids, none twice.
            weeks: [B] the week that each is in.
            observations: [B, F_week] the week's logged features.
        """
        known = self._index.find(entity_ids) > 0
        slots = self._index.claim(entity_ids)
        self._make_room()
        new = slots[~known]
        self._beliefs.forget(new)
        self._weeks[new] = np.maximum(weeks[~known] - 1, 0)
        due = self._weeks[slots] < weeks
        if not due.any():
            return
        rows = slots[due]
        seen = self._beliefs.take(rows)
        seen.update_from_observations(observations[due])
        put_rows(self._beliefs.tables, rows, seen.tables)
        self._weeks[rows] = weeks[due]

    def belief_observation(self, entity_ids: Int64) -> Float32:
        """Return the belief features of B members taken in before, [B, F_belief]."""
        return self._beliefs.take(self._index.find(entity_ids)).observations()

    def forget(self, entity_ids: Int64) -> None:
        """Drop what is believed of some members."""
        self._index.release(entity_ids)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of all that is believed, as arrays by name, members in rising order."""
        ids, slots = self._index.items()
        tables = self._beliefs.take(slots).tables._asdict()
        known = {"ids": ids.copy(), "weeks": self._weeks[slots]}
        return known | {f"tables.{name}": table for name, table in tables.items()}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over another memory's :meth:`state`; the present beliefs are dropped.

        Raises:
            ValueError: an array is missing or of another shape or type; then nothing is changed.
        """
        count = len(arrays["ids"]) if "ids" in arrays else 0
        ids = np.zeros(count, np.int64)
        beliefs = Beliefs(self._beliefs.filter, count)
        wanted = {"ids": ids, "weeks": ids}
        wanted |= {f"tables.{name}": t for name, t in beliefs.tables._asdict().items()}
        for name, array in wanted.items():
            found = arrays.get(name)
            if found is None or found.shape != array.shape or found.dtype != array.dtype:
                raise ValueError(f"beliefs have no {name} of {array.dtype}, shape {array.shape}")
        self._index = EntityIndex()
        slots = self._index.claim(np.array(arrays["ids"]))
        self._make_room()
        self._weeks[slots] = arrays["weeks"]
        tables = type(beliefs.tables)(*(arrays[f"tables.{n}"] for n in beliefs.tables._fields))
        put_rows(self._beliefs.tables, slots, tables)

    def _make_room(self) -> None:
        """Grow the tables to hold every slot that was given out."""
        size, wanted = len(self._weeks), self._index.end
        if wanted <= size:
            return
        grown = Beliefs(self._beliefs.filter, 2 * wanted)
        put_rows(grown.tables, slice(size), self._beliefs.tables)
        weeks = np.zeros(2 * wanted, np.int64)
        weeks[:size] = self._weeks
        self._beliefs, self._weeks = grown, weeks
