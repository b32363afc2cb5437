"""The plan in force of each member: from the store, from memory, or the world's safe plan."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import typeof, types
from numpy.typing import NDArray

from slowfast_rl.members.arrays import Bool, Int8, Int32, Int64, Integer
from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.members.compile import driver, entry_point, kernel
from slowfast_rl.members.world import World
from slowfast_rl.policies.guard import below_ceiling, plan_ceiling
from slowfast_rl.store import (
    PLANS,
    UNIFORM_SHAPE,
    Column,
    FeatureStore,
    FeatureView,
    PacingPlan,
    Status,
    StoreState,
    StoreUnavailableError,
    plan_view,
    read_plans,
)
from slowfast_rl.store.index import NOBODY
from slowfast_rl.store.state import COUNTERS, pack_state, unpack_state
from slowfast_rl.store.table import Table

REMEMBERED_SECONDS = 28 * DAY_SECONDS  # for which a remembered plan is used after its week
_MEMORY = "remembered"
_SENDS = ("target", "cap")  # columns of plans that the ceiling bounds
_NONE = -1
_NO_IDS = np.zeros(0, np.int64)
_PRESENT, _OUTSIDE_MAX_AGE = int(Status.PRESENT), int(Status.OUTSIDE_MAX_AGE)
_NOT_FOUND = np.int8(Status.NOT_FOUND)
_SETTLED, _UNSETTLED, _UNKNOWN = 0, 1, 2  # what the memory has of a batch


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
        self._remembered = _remembered(self._memory)
        self._pending_deletes = _NO_IDS  # members whose stored plans are still to be deleted
        self._fallbacks = self._mid_week = 0

    @property
    def counters(self) -> Counters:
        """Counts since the reader was created, including restored ones."""
        return Counters(self._fallbacks, self._mid_week)

    def read_plans_in_force(
        self,
        entity_ids: Int64,
        now: Int64,
        write_missing: Callable[[Bool], None] | None = None,
    ) -> Reading:
        """Return the plan in force for each of B members, and whether it is settled.

        Args:
            entity_ids: [B] member ids, no id twice.
            now: [B] simulated seconds.
            write_missing: writes plans for the members that have none of this week in the store,
                of which it is told which [B] they are; called where the store has to be read.
        """
        now, slots = np.ascontiguousarray(now, np.int64), self._memory.index.find(entity_ids)
        if now.shape != slots.shape:
            raise ValueError(f"now has shape {now.shape}; allowed is {slots.shape}")
        plan, settled = _empty_plan(len(slots), self._safe.size), np.empty(len(slots), np.bool_)
        found = entry_point(_recall)(now, slots, self._remembered, plan, settled)
        if found == _SETTLED:  # the store cannot change these plans
            return Reading(plan, settled)
        stored, status = self._stored(entity_ids, now, plan, write_missing)
        places = slots
        if found == _UNKNOWN:
            places = self._memory.claim(entity_ids)
            self._remembered = _remembered(self._memory)
        fallbacks, mid_week = entry_point(_settle)(
            now, slots, places, self._remembered, stored, status, self._ceiling, self._safe, plan,
            settled,
        )  # fmt: skip
        self._fallbacks += fallbacks
        self._mid_week += mid_week
        return Reading(plan, settled)

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
            self._pending_deletes = _NO_IDS

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
        if rows.view != self._memory.view:
            raise ValueError(f"rows are of view {rows.view}; allowed is {self._memory.view}")
        bounded = {name: below_ceiling(rows.values[name], self._ceiling) for name in _SENDS}
        self._memory = Table(rows.view)
        self._memory.write(rows.entity_ids, {**rows.values, **bounded}, rows.event_timestamp)
        self._remembered = _remembered(self._memory)
        self._fallbacks = int(reader["fallbacks"])
        self._mid_week = int(reader["mid_week_plan_changes"])
        self._pending_deletes = np.array(reader["pending_deletes"], np.int64)

    def _stored(
        self,
        entity_ids: Int64,
        now: Int64,
        like: PacingPlan,
        write_missing: Callable[[Bool], None] | None,
    ) -> tuple[PacingPlan, NDArray[np.signedinteger]]:
        """Return the stored plans and their status, NOT_FOUND if the store cannot be reached.

        Args:
            entity_ids: [B] member ids.
            now: [B] simulated seconds.
            like: plans of B members; those returned have the same types and shapes.
            write_missing: as in :meth:`read_plans_in_force`.

        Raises:
            ValueError: the store returned arrays of other shapes.
        """
        self.flush_pending_deletes()
        try:
            plan, status = read_plans(self.store, entity_ids, now)
            missing = status != _PRESENT
            if write_missing is not None and np.count_nonzero(missing):
                write_missing(missing)
                plan, status = read_plans(self.store, entity_ids, now)
        except StoreUnavailableError:
            return like, np.full(len(now), _NOT_FOUND)
        if self._pending_deletes.size:
            status = np.where(np.isin(entity_ids, self._pending_deletes), _NOT_FOUND, status)
        *columns, status = map(np.ascontiguousarray, (*plan, status), _TYPES)
        stored = PacingPlan(*columns)
        if not entry_point(_same_shapes)(stored, status, like):  # which a kernel would not notice
            shapes = [column.shape for column in (*stored, status)]
            allowed = [column.shape for column in (*like, now)]
            raise ValueError(f"the store returned plans of shapes {shapes}; allowed is {allowed}")
        return stored, status


def _memory_view(num_channels: int) -> FeatureView:
    columns = dict(plan_view(num_channels).columns)  # of the last plan used; its week -1 for none
    return FeatureView(_MEMORY, columns | {"fallback_week": Column("int64")})  # -1 for none


class _Remembered(NamedTuple):
    """The memory's own arrays, by slot."""

    stamps: Int64  # when a plan was last used
    fallback_week: Int64  # the last week of a fallback
    plan: PacingPlan  # the last plan used


def _remembered(memory: Table) -> _Remembered:
    """Return the arrays of a memory, which are its own until it claims slots."""
    stamps, columns = memory.arrays()
    plan = PacingPlan(*(columns[name] for name in PacingPlan._fields))
    return _Remembered(stamps, columns["fallback_week"], plan)


def _empty_plan(size: int, num_channels: int) -> PacingPlan:
    """Return arrays for the plans of so many members."""
    return PacingPlan(
        np.empty((size, num_channels), np.int32),
        np.empty((size, num_channels), np.int32),
        np.empty(size, np.int32),
        np.empty(size, np.int64),
        np.empty(size, np.int64),
    )


_PLAN = typeof(_empty_plan(1, 1))
_REMEMBERED = typeof(_Remembered(np.empty(1, np.int64), np.empty(1, np.int64), _empty_plan(1, 1)))
_TYPES = np.int32, np.int32, np.int32, np.int64, np.int64, np.int8  # of a plan's columns and status
_INT32S, _INT64S = types.Array(types.int32, 1, "C"), types.Array(types.int64, 1, "C")
_INT8S, _BOOLS = types.Array(types.int8, 1, "C"), types.Array(types.boolean, 1, "C")


@kernel
def _is_known(remembered: _Remembered, slot: Integer, now: Integer) -> bool:
    """Return whether a plan is remembered in a slot that was used by now."""
    return slot != NOBODY and remembered.stamps[slot] <= now


@kernel
def _copy(plan: PacingPlan, j: Integer, to: PacingPlan, i: Integer) -> None:
    """Copy plan j of some plans to plan i of others."""
    for c in range(to.target.shape[1]):
        to.target[i, c], to.cap[i, c] = plan.target[j, c], plan.cap[j, c]
    to.shape[i], to.week[i] = plan.shape[j], plan.week[j]
    to.policy_version[i] = plan.policy_version[j]


@driver(types.boolean(_PLAN, _INT8S, _PLAN))
def _same_shapes(plan: PacingPlan, status: Int8, like: PacingPlan) -> bool:
    """Return whether plans and their status have the shapes of other plans."""
    return (
        plan.target.shape == like.target.shape
        and plan.cap.shape == like.cap.shape
        and plan.shape.shape == like.shape.shape
        and plan.week.shape == like.week.shape
        and plan.policy_version.shape == like.policy_version.shape
        and status.shape == like.week.shape
    )


@driver(types.int64(_INT64S, _INT64S, _REMEMBERED, _PLAN, _BOOLS))
def _recall(
    now: Int64, slots: Int64, remembered: _Remembered, plan: PacingPlan, settled: Bool
) -> int:
    """Fill in the last plans used, week -1 for none, and whether each is one of this week.

    Returns:
        whether all are settled, and if not, whether the memory has a slot of each member.
    """
    found = _SETTLED
    for i in range(now.shape[0]):
        _copy(remembered.plan, slots[i], plan, i)
        if not _is_known(remembered, slots[i], now[i]):
            plan.week[i] = _NONE
        settled[i] = plan.week[i] == now[i] // WEEK_SECONDS
        if slots[i] == NOBODY:
            found = _UNKNOWN
        elif not settled[i]:
            found = max(found, _UNSETTLED)
    return found


@driver(
    types.UniTuple(types.int64, 2)(
        _INT64S, _INT64S, _INT64S, _REMEMBERED, _PLAN, _INT8S, _INT32S,
        _INT32S, _PLAN, _BOOLS,
    )
)  # fmt: skip
def _settle(
    now: Int64,
    slots: Int64,
    places: Int64,
    remembered: _Remembered,
    stored: PacingPlan,
    status: Int8,
    ceiling: Int32,
    safe: Int32,
    plan: PacingPlan,
    settled: Bool,
) -> tuple[int, int]:
    """Change the plans of :func:`_recall` that are not settled to those in force; remember them.

    Args:
        now: [B] simulated seconds.
        slots: [B] of members in the memory, as they were recalled.
        places: [B] the same, with slots for those that had none.
        remembered: the memory.
        stored: the stored plans, [B].
        status: [B] their status.
        ceiling: [C] largest target and cap.
        safe: [C] target and cap of the safe plan.
        plan: [B] the plans.
        settled: [B] whether each is settled.

    Returns:
        the number of fallbacks that are new in their week, and that of fallbacks of this week that
        were replaced.
    """
    fallbacks, replaced = 0, 0
    for i in range(now.shape[0]):
        if settled[i]:
            continue
        week, place = now[i] // WEEK_SECONDS, places[i]
        is_known = _is_known(remembered, slots[i], now[i])
        fallback_week = remembered.fallback_week[place] if is_known else _NONE
        fresh = status[i] == _PRESENT and stored.week[i] == week
        # Of an earlier week and yet later; a row's stamp and its column may disagree.
        later = status[i] == _OUTSIDE_MAX_AGE and plan.week[i] < stored.week[i] < week
        if fresh or later:
            _copy(stored, i, plan, i)
            for c in range(ceiling.shape[0]):
                plan.target[i, c] = min(max(plan.target[i, c], 0), ceiling[c])
                plan.cap[i, c] = min(max(plan.cap[i, c], 0), ceiling[c])
        fell_back = fallback_week == week
        replaced += (fresh or later) and fell_back
        fallbacks += not (fresh or fell_back)
        # A read at an earlier time than the last one changes nothing.
        in_order = slots[i] == NOBODY or now[i] >= remembered.stamps[place]
        if in_order and (fresh or later or not fell_back):
            _copy(plan, i, remembered.plan, place)
            remembered.fallback_week[place] = fallback_week if fresh else week
            remembered.stamps[place] = now[i]
        settled[i] = fresh
        ends = (plan.week[i] + 1) * WEEK_SECONDS
        if not fresh and (plan.week[i] < 0 or now[i] >= ends + REMEMBERED_SECONDS):
            for c in range(safe.shape[0]):
                plan.target[i, c] = plan.cap[i, c] = safe[c]
            plan.shape[i], plan.week[i], plan.policy_version[i] = UNIFORM_SHAPE, week, 0
    return fallbacks, replaced
