"""Which plan is in force: reads the store, remembers, and falls back when the store is silent."""

from typing import NamedTuple

import numpy as np

from slowfast_rl.members.arrays import Bool, Int32, Int64
from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.members.world import World
from slowfast_rl.store import (
    Column,
    FeatureStore,
    FeatureView,
    InMemoryFeatureStore,
    PacingPlan,
    Status,
    StoreState,
    StoreUnavailable,
    pacing_plan,
    read_plans,
)

REMEMBERED_SECONDS = 28 * DAY_SECONDS  # a remembered plan serves so long after its week
_MEMORY = "remembered"
_NONE = np.int64(-1)


class Counters(NamedTuple):
    """What happened to plans so far, in member-weeks."""

    fallbacks: int  # weeks in which a remembered or the safe plan had to serve
    mid_week_plan_changes: int  # weeks in which the week's own plan replaced a fallback


class PlanReader:
    """The executor's view of the store, with its memory of the last plan used per member.

    A plan of this week, once used, holds until the week ends. With the store silent, stale or
    emptied, the remembered plan serves up to 28 days after its week, then the world's safe plan.

    Args:
        world: for the safe plan and the channels.
        store: where the planner writes; a view ``plans`` is registered if missing.
    """

    def __init__(self, world: World, store: FeatureStore) -> None:
        self.world, self.store = world, store
        self._safe = np.array(world.safe_plan, np.int32)
        self._memory = InMemoryFeatureStore()
        channels = (len(world.channels),)
        self._memory.apply(
            [
                FeatureView(
                    _MEMORY,
                    {
                        "target": Column("int32", channels),
                        "cap": Column("int32", channels),
                        "shape": Column("int32"),
                        "week": Column("int64"),  # of the last plan used, -1 for none
                        "policy_version": Column("int64"),
                        "fallback_week": Column("int64"),  # last week that fell back, -1 for none
                    },
                )
            ]
        )
        self._fallbacks = self._mid_week = 0

    @property
    def counters(self) -> Counters:
        """Counts since the reader was made or restored."""
        return Counters(self._fallbacks, self._mid_week)

    def read(self, entity_ids: Int64, now: Int64) -> PacingPlan:
        """Return the plan in force for each of B members.

        Args:
            entity_ids: [B] member ids, no id twice.
            now: [B] simulated seconds.
        """
        week = now // WEEK_SECONDS
        stored, status = self._stored(entity_ids, now)
        memory = self._memory.get_online_features(_MEMORY, entity_ids, now)
        known = memory.status != Status.NOT_FOUND
        fallback_week = np.where(known, memory.values.pop("fallback_week"), _NONE)
        last = PacingPlan(**memory.values)
        last = last._replace(week=np.where(known, last.week, _NONE))

        settled = last.week == week
        fresh = ~settled & (status == Status.PRESENT) & (stored.week == week)
        older = (status == Status.OUTSIDE_MAX_AGE) & (stored.week < week)
        adopted = ~settled & ~fresh & older & (stored.week > last.week)
        plan = _where(fresh | adopted, stored, last)
        serves = (plan.week >= 0) & (now < (plan.week + 1) * WEEK_SECONDS + REMEMBERED_SECONDS)
        fallback = ~settled & ~fresh
        newly = fallback & (fallback_week != week)
        self._fallbacks += int(newly.sum())
        self._mid_week += int((fresh & (fallback_week == week)).sum())

        changed = fresh | adopted | newly
        if changed.any():
            rows = {name: values[changed] for name, values in plan._asdict().items()}
            rows["fallback_week"] = np.where(newly, week, fallback_week)[changed]
            self._memory.write_to_online_store(_MEMORY, entity_ids[changed], rows, now[changed])
        return _where(~fallback | serves, plan, self._safe_plan(week))

    def forget(self, entity_ids: Int64) -> None:
        """Clear the store's rows and the memory of members that start an episode."""
        self._memory.delete(_MEMORY, entity_ids)
        self.store.delete("plans", entity_ids)

    def snapshot(self) -> StoreState:
        """Return the memory and counters as arrays and JSON-able metadata."""
        state = self._memory.snapshot()
        counters = {"fallbacks": self._fallbacks, "mid_week_plan_changes": self._mid_week}
        return state._replace(metadata=state.metadata | {"reader": counters})

    def restore(self, state: StoreState) -> None:
        """Continue from a snapshot."""
        metadata = dict(state.metadata)
        counters = metadata.pop("reader")
        self._memory.restore(state._replace(metadata=metadata))
        self._fallbacks = int(counters["fallbacks"])
        self._mid_week = int(counters["mid_week_plan_changes"])

    def _stored(self, entity_ids: Int64, now: Int64) -> tuple[PacingPlan, Int64]:
        try:
            plan, status = read_plans(self.store, entity_ids, now)
        except StoreUnavailable:
            plan = self._safe_plan(now // WEEK_SECONDS)
            return plan, np.full(len(now), int(Status.NOT_FOUND), np.int64)
        return plan, status.astype(np.int64)

    def _safe_plan(self, week: Int64) -> PacingPlan:
        return pacing_plan(np.tile(self._safe, (len(week), 1)), week)


def _where(condition: Bool, first: PacingPlan, second: PacingPlan) -> PacingPlan:
    def pick(a: Int32 | Int64, b: Int32 | Int64) -> Int32 | Int64:
        chosen = condition[:, None] if a.ndim == 2 else condition
        return np.where(chosen, a, b).astype(a.dtype)

    return PacingPlan(*(pick(a, b) for a, b in zip(first, second, strict=True)))
