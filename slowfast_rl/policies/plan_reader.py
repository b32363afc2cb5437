"""The plan in force of each member: from the store, from memory, or the world's safe plan."""

from typing import NamedTuple

import numpy as np

from slowfast_rl.members.arrays import Bool, Int8, Int64
from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.members.world import World
from slowfast_rl.policies.guard import below_ceiling, plan_ceiling
from slowfast_rl.store import (
    PLANS,
    Column,
    FeatureStore,
    FeatureView,
    PacingPlan,
    Status,
    StoreState,
    StoreUnavailableError,
    pacing_plan,
    plan_view,
    read_plans,
)
from slowfast_rl.store.index import NOBODY
from slowfast_rl.store.state import COUNTERS, pack_state, unpack_state
from slowfast_rl.store.table import Table

REMEMBERED_SECONDS = 28 * DAY_SECONDS  # for which a remembered plan is used after its week
_MEMORY = "remembered"
_SENDS = ("target", "cap")  # columns of plans that the ceiling bounds
_NONE = np.int64(-1)
_NOBODY = np.zeros(0, np.int64)


class Counters(NamedTuple):
    """Counts of events."""

    fallbacks: int  # member-weeks in which a remembered or the safe plan was used
    mid_week_plan_changes: int  # plans that replaced a fallback within its week


class Reading(NamedTuple):
    """The plans in force of B members."""

    plan: PacingPlan
    settled: Bool  # [B] whether the plan is one of this week, which stays in force all week


class PlanReader:
    """A reader of plans for an executor, with a memory of the last plan used for each member.

    A plan of this week that was used once stays in force until the week ends. If the store has no
    plan of this week or cannot be reached, a fallback is used: the remembered plan until 28 days
    after its week, then the world's safe plan. A stored plan of an earlier week replaces the
    remembered plan if it is later. A plan of this week that arrives after a fallback was used comes
    into force at the next read.

    What is stored is not trusted: targets and caps are cut to the largest of the world's menu, and
    a row of an earlier week can only be remembered for four weeks after it.

    Args:
        world: the world, for the safe plan and the channels.
        store: the store to which the planner writes; the view ``plans`` is registered if missing.
    """

    def __init__(self, world: World, store: FeatureStore) -> None:
        self.world, self.store = world, store
        self.store.apply([plan_view(len(world.channels))])
        self._ceiling = plan_ceiling(world.plans)
        self._safe = np.array(world.safe_plan, np.int32)
        self._memory = Table(_memory_view(len(world.channels)))  # of the last plan used, by member
        self._pending_deletes = _NOBODY  # members whose stored plans are still to be deleted
        self._fallbacks = self._mid_week = 0

    @property
    def counters(self) -> Counters:
        """Counts since the reader was created, including restored ones."""
        return Counters(self._fallbacks, self._mid_week)

    def read_plans_in_force(self, entity_ids: Int64, now: Int64) -> Reading:
        """Return the plan in force for each of B members, and whether it is settled.

        Args:
            entity_ids: [B] member ids, no id twice.
            now: [B] simulated seconds.
        """
        week = now // WEEK_SECONDS
        last, fallback_week = self._remembered(entity_ids, now)
        settled = last.week == week
        if settled.all():  # the store cannot change these plans
            return Reading(last, settled)
        stored, status = self._stored(entity_ids, now)
        fresh = ~settled & (status == Status.PRESENT) & (stored.week == week)
        if fresh.all() and not (fallback_week == week).any():  # as on most Mondays
            self._remember(entity_ids, stored, fallback_week, now)
            return Reading(stored, fresh)
        stale = ~settled & (status == Status.OUTSIDE_MAX_AGE) & (stored.week > last.week)
        stale &= stored.week < week  # a row's stamp and its column may disagree
        falls_back = ~settled & ~fresh
        newly = falls_back & (fallback_week != week)
        self._fallbacks += int(newly.sum())
        self._mid_week += int(((fresh | stale) & (fallback_week == week)).sum())

        plan = _where(fresh | stale, stored, last)
        fallback_week = np.where(falls_back, week, fallback_week)
        changed = fresh | stale | newly
        if changed.any():
            self._remember(
                entity_ids[changed],
                PacingPlan(*(column[changed] for column in plan)),
                fallback_week[changed],
                now[changed],
            )
        if falls_back.any():
            ends = (plan.week + 1) * WEEK_SECONDS
            serves = ~falls_back | ((plan.week >= 0) & (now < ends + REMEMBERED_SECONDS))
            plan = _where(serves, plan, self._safe_plan(week))
        return Reading(plan, ~falls_back)

    def forget(self, entity_ids: Int64) -> None:
        """Delete the stored and remembered plans of members that start an episode.

        If the store cannot be reached, its plans of these members are ignored, and deleted as soon
        as it answers.

        Args:
            entity_ids: [B] member ids.
        """
        self._memory.index.release(entity_ids)
        self._pending_deletes = np.concatenate([self._pending_deletes, entity_ids])
        self.flush_pending_deletes()

    def flush_pending_deletes(self) -> None:
        """Delete the stored plans that :meth:`forget` could not delete."""
        if not self._pending_deletes.size:
            return
        try:
            self.store.delete(PLANS, self._pending_deletes)
        except StoreUnavailableError:
            self._pending_deletes = np.unique(self._pending_deletes)
        else:
            self._pending_deletes = _NOBODY

    def snapshot(self) -> StoreState:
        """Return memory, counters and pending deletes as arrays and metadata for JSON."""
        state = pack_state([self._memory.dump()], dict.fromkeys(COUNTERS, 0))
        reader = self.counters._asdict() | {"pending_deletes": self._pending_deletes.tolist()}
        return state._replace(metadata=state.metadata | {"reader": reader})

    def restore(self, state: StoreState) -> None:
        """Replace memory, counters and pending deletes by those of a snapshot."""
        metadata = dict(state.metadata)
        reader = metadata.pop("reader")
        (rows,), _ = unpack_state(state._replace(metadata=metadata))
        bounded = {name: below_ceiling(rows.values[name], self._ceiling) for name in _SENDS}
        self._memory = Table(rows.view)
        self._memory.write(rows.entity_ids, {**rows.values, **bounded}, rows.event_timestamp)
        self._fallbacks = int(reader["fallbacks"])
        self._mid_week = int(reader["mid_week_plan_changes"])
        self._pending_deletes = np.array(reader["pending_deletes"], np.int64)

    def _remembered(self, entity_ids: Int64, now: Int64) -> tuple[PacingPlan, Int64]:
        """Return the last plans used and the weeks of the last fallbacks; week -1 means none."""
        slots = self._memory.index.find(entity_ids)
        values, known = self._memory.values(slots), self._memory.stamps(slots) <= now
        known &= slots != NOBODY
        fallback_week = np.where(known, values.pop("fallback_week"), _NONE)
        values["week"] = np.where(known, values["week"], _NONE)
        return PacingPlan(**values), fallback_week

    def _remember(
        self, entity_ids: Int64, plan: PacingPlan, fallback_week: Int64, now: Int64
    ) -> None:
        rows = plan._asdict() | {"fallback_week": fallback_week}
        later = now >= self._memory.stamps(self._memory.index.find(entity_ids))
        if later.all():
            self._memory.write(entity_ids, rows, now)
        else:  # a read at an earlier time changes nothing
            kept = {name: column[later] for name, column in rows.items()}
            self._memory.write(entity_ids[later], kept, now[later])

    def _stored(self, entity_ids: Int64, now: Int64) -> tuple[PacingPlan, Int8]:
        """Return the stored plans and their status, NOT_FOUND if the store cannot be reached."""
        self.flush_pending_deletes()
        try:
            plan, status = read_plans(self.store, entity_ids, now)
        except StoreUnavailableError:
            return self._safe_plan(now // WEEK_SECONDS), np.full(len(now), _NOT_FOUND)
        if self._pending_deletes.size:
            status = np.where(np.isin(entity_ids, self._pending_deletes), _NOT_FOUND, status)
        target, cap = (below_ceiling(sends, self._ceiling) for sends in (plan.target, plan.cap))
        return plan._replace(target=target, cap=cap), status

    def _safe_plan(self, week: Int64) -> PacingPlan:
        return pacing_plan(np.tile(self._safe, (len(week), 1)), week)


_NOT_FOUND = np.int8(Status.NOT_FOUND)


def _memory_view(num_channels: int) -> FeatureView:
    columns = dict(plan_view(num_channels).columns)  # of the last plan used; its week -1 for none
    return FeatureView(_MEMORY, columns | {"fallback_week": Column("int64")})  # -1 for none


def _where(condition: Bool, first: PacingPlan, second: PacingPlan) -> PacingPlan:
    """Return, for each of B members, the first plan if the condition [B] holds, else the second."""
    wide = condition[:, None]
    return PacingPlan(
        target=np.where(wide, first.target, second.target),
        cap=np.where(wide, first.cap, second.cap),
        shape=np.where(condition, first.shape, second.shape),
        week=np.where(condition, first.week, second.week),
        policy_version=np.where(condition, first.policy_version, second.policy_version),
    )
