"""Beliefs about served members, updated from their observations alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.members.arrays import Float32, Int64
from slowfast_rl.members.beliefs import BeliefFilter, Beliefs
from slowfast_rl.members.state import put_rows
from slowfast_rl.store.index import EntityIndex


class BeliefMemory:
    """Beliefs about members by id; the counts of each week update them once.

    A population updates its members' beliefs itself. A service observes a member only when the
    member has an opportunity or is planned for. The counts of a week in which a member is not
    observed are missing from its beliefs. A member that is first observed after its first week
    starts with the beliefs about a new member, updated with the counts of the last week.

    Args:
        belief_filter: creates and updates the beliefs.
    """

    def __init__(self, belief_filter: BeliefFilter) -> None:
        self._beliefs = Beliefs(belief_filter, 1)
        self._weeks = np.zeros(1, np.int64)  # [R] the last week whose counts were used
        self._index = EntityIndex()

    def take_in(self, entity_ids: Int64, weeks: Int64, observations: Float32) -> None:
        """Update the beliefs about members that are observed for the first time in their week.

        Args:
            entity_ids: [B] member ids, none twice.
            weeks: [B] the week of each member.
            observations: [B, F_week] weekly observations, with the counts of the last week.
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
        """Return the belief features of B members that were observed before, [B, F_belief]."""
        return self._beliefs.take(self._index.find(entity_ids)).observations()

    def forget(self, entity_ids: Int64) -> None:
        """Delete the beliefs about some members."""
        self._index.release(entity_ids)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return copies of all beliefs as arrays by name, in ascending order of id."""
        ids, slots = self._index.items()
        tables = self._beliefs.take(slots).tables._asdict()
        known = {"ids": ids.copy(), "weeks": self._weeks[slots]}
        return known | {f"tables.{name}": table for name, table in tables.items()}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Replace all beliefs by the :meth:`state` of another memory.

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
        """Extend the tables so that they have a row for every slot in use."""
        size, wanted = len(self._weeks), self._index.end
        if wanted <= size:
            return
        grown = Beliefs(self._beliefs.filter, 2 * wanted)
        put_rows(grown.tables, slice(size), self._beliefs.tables)
        weeks = np.zeros(2 * wanted, np.int64)
        weeks[:size] = self._weeks
        self._beliefs, self._weeks = grown, weeks
