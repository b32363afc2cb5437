"""Which plan is in force: of this week, else remembered, else safe; by times set by hand."""

from copy import deepcopy

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.policies import PlanReader
from slowfast_rl.store import InMemoryFeatureStore, pacing_plan, write_plans
from tests.envs.stores import CuttableStore
from tests.members.worlds import world
from tests.policies.readers import FEBRUARY, SAFE, WORLD, Plan, opened, restored
from tests.store.faults import Faults, FaultyStore

MEMBER = np.array([17])
TUESDAY = DAY_SECONDS


def write(reader: PlanReader, plan: Plan, week: int, now: int | None = None) -> int:
    clock = week * WEEK_SECONDS if now is None else now
    return write_plans(reader.store, MEMBER, pacing_plan([plan], week), clock)


def read(reader: PlanReader, now: int) -> Plan:
    return tuple(reader.read_plans_in_force(MEMBER, np.array([now])).plan.target[0].tolist())


class Reshaping(FaultyStore):
    """Returns a column of each row in another shape."""

    column: str | None = None

    def get_online_features(self, view, entity_ids, now):
        found = super().get_online_features(view, entity_ids, now)
        if self.column is not None:
            found.values[self.column] = found.values[self.column][:0]
        return found


class TestAPlanOfThisWeek:
    def test_serves_from_the_moment_it_is_there(self) -> None:
        reader = opened()
        write(reader, (3, 2), week=4)
        now = np.array([4 * WEEK_SECONDS])
        found, settled = reader.read_plans_in_force(MEMBER, now)
        for name, column in pacing_plan([[3, 2]], 4)._asdict().items():
            assert_array_equal(getattr(found, name), column)
        assert settled.all()
        assert reader.counters == (0, 0)

    def test_once_used_it_holds_although_another_row_appears(self) -> None:
        reader = opened()
        write(reader, (3, 2), week=4)
        assert read(reader, 4 * WEEK_SECONDS) == (3, 2)
        reader.store.delete("plans", MEMBER)
        assert write(reader, (7, 7), week=4, now=4 * WEEK_SECONDS + TUESDAY) == 1
        assert read(reader, 4 * WEEK_SECONDS + TUESDAY) == (3, 2)
        assert read(reader, 5 * WEEK_SECONDS - 1) == (3, 2)
        assert read(reader, 5 * WEEK_SECONDS) == (3, 2), "the other row is of no later week"
        assert reader.counters == (1, 0)

    def test_not_yet_used_it_may_be_replaced(self) -> None:
        reader = opened()
        write(reader, (3, 2), week=4)
        reader.store.delete("plans", MEMBER)
        write(reader, (7, 7), week=4)
        assert read(reader, 4 * WEEK_SECONDS) == (7, 7)

    def test_it_holds_with_the_store_silent(self) -> None:
        store = CuttableStore()
        reader = opened(store)
        write(reader, (3, 2), week=4)
        read(reader, 4 * WEEK_SECONDS)
        store.down = True
        now = np.array([4 * WEEK_SECONDS + TUESDAY])
        assert reader.read_plans_in_force(MEMBER, now).settled.all()
        assert read(reader, 4 * WEEK_SECONDS + TUESDAY) == (3, 2)
        assert reader.counters == (0, 0)

    def test_arriving_in_mid_week_it_takes_over_from_a_fallback_and_is_counted(self) -> None:
        reader = opened()
        write(reader, (3, 2), week=3)
        assert read(reader, 3 * WEEK_SECONDS) == (3, 2)
        assert read(reader, 4 * WEEK_SECONDS) == (3, 2)
        assert not reader.read_plans_in_force(MEMBER, np.array([4 * WEEK_SECONDS])).settled.any()
        write(reader, (5, 5), week=4, now=4 * WEEK_SECONDS + TUESDAY)
        assert read(reader, 4 * WEEK_SECONDS + TUESDAY) == (5, 5)
        assert read(reader, 4 * WEEK_SECONDS + 2 * TUESDAY) == (5, 5)
        assert reader.counters == (1, 1)

    def test_a_first_read_in_mid_week_is_no_change(self) -> None:
        reader = opened()
        write(reader, (3, 2), week=4)
        assert read(reader, 4 * WEEK_SECONDS + TUESDAY) == (3, 2)
        assert reader.counters == (0, 0)


class TestARememberedPlan:
    @pytest.mark.parametrize("how", ["silent", "stale", "emptied"])
    def test_serves_28_days_after_its_week_and_then_the_safe_plan(self, how: str) -> None:
        store = CuttableStore()
        reader = opened(store)
        write(reader, (3, 2), week=4)
        read(reader, 4 * WEEK_SECONDS)
        if how == "silent":
            store.down = True
        elif how == "emptied":
            store.empty()
        last = 5 * WEEK_SECONDS + FEBRUARY
        for now in (5 * WEEK_SECONDS, 5 * WEEK_SECONDS + TUESDAY, 7 * WEEK_SECONDS, last - 1):
            assert read(reader, now) == (3, 2)
        assert read(reader, last) == SAFE
        assert read(reader, last + WEEK_SECONDS) == SAFE
        assert reader.counters.fallbacks == 5  # weeks 5, 7, 8, 9, 10

    def test_is_the_last_one_used_not_the_last_one_written(self) -> None:
        store = CuttableStore()
        reader = opened(store)
        write(reader, (3, 2), week=4)
        read(reader, 4 * WEEK_SECONDS)
        write(reader, (7, 7), week=5)
        store.empty()
        assert read(reader, 5 * WEEK_SECONDS) == (3, 2)

    def test_a_row_of_an_earlier_week_counts_where_nothing_later_is_remembered(self) -> None:
        reader = opened()
        write(reader, (3, 2), week=2)
        assert read(reader, 4 * WEEK_SECONDS) == (3, 2)
        reader.store.delete("plans", MEMBER)
        assert read(reader, 5 * WEEK_SECONDS) == (3, 2), "it is remembered from then on"
        write(reader, (5, 5), week=1, now=5 * WEEK_SECONDS)
        assert read(reader, 6 * WEEK_SECONDS) == (3, 2), "week 1 is no later than week 2"
        write(reader, (7, 7), week=4, now=6 * WEEK_SECONDS)
        assert read(reader, 7 * WEEK_SECONDS) == (7, 7)
        assert reader.counters.fallbacks == 4

    def test_a_row_of_an_earlier_week_is_too_old_after_28_days_like_any_other(self) -> None:
        reader = opened()
        write(reader, (3, 2), week=2)
        assert read(reader, 3 * WEEK_SECONDS + FEBRUARY) == SAFE

    def test_an_earlier_weeks_plan_that_arrives_late_takes_over_and_is_counted(self) -> None:
        reader = opened()
        assert read(reader, 4 * WEEK_SECONDS) == SAFE
        write(reader, (3, 2), week=3, now=4 * WEEK_SECONDS + TUESDAY)
        assert read(reader, 4 * WEEK_SECONDS + TUESDAY) == (3, 2)
        assert reader.counters == (1, 1)


class TestTheSafePlan:
    def test_serves_where_nothing_is_known_and_is_not_remembered(self) -> None:
        reader = opened()
        for now in (0, TUESDAY, WEEK_SECONDS):
            assert read(reader, now) == SAFE
        assert reader.counters == (2, 0)
        found = reader.read_plans_in_force(MEMBER, np.array([WEEK_SECONDS])).plan
        assert_array_equal(found.cap, found.target)

    def test_members_do_not_share_their_fate(self) -> None:
        reader = opened()
        ids = np.array([5, 17, 3])
        write(reader, (3, 2), week=1)
        plan, settled = reader.read_plans_in_force(
            ids, np.array([0, 1, 0]) * WEEK_SECONDS + TUESDAY
        )
        assert_array_equal(plan.target, [SAFE, (3, 2), SAFE])
        assert_array_equal(settled, [False, True, False])
        assert reader.counters.fallbacks == 2


class TestForgetting:
    def test_clears_the_row_and_the_memory(self) -> None:
        reader = opened()
        write(reader, (3, 2), week=4)
        read(reader, 4 * WEEK_SECONDS)
        reader.forget(MEMBER)
        assert read(reader, 4 * WEEK_SECONDS) == SAFE
        assert write(reader, (5, 5), week=0, now=TUESDAY) == 1

    def test_with_the_store_out_of_reach_its_row_is_not_believed_and_deleted_later(self) -> None:
        store = CuttableStore()
        reader = opened(store)
        write(reader, (3, 2), week=0)
        store.down = True
        reader.forget(MEMBER)
        reader.forget(MEMBER)
        assert read(reader, 0) == SAFE
        reader = restored(reader)
        store.down = False
        assert read(reader, 0) == SAFE
        assert store.get_online_features("plans", MEMBER, 0).status[0] == 3
        write(reader, (5, 5), week=0)
        assert read(reader, TUESDAY) == (5, 5)

    def test_a_row_that_cannot_be_deleted_is_not_believed_but_other_members_rows_are(self) -> None:
        store = CuttableStore()
        reader = opened(store)
        both = np.array([17, 18])
        write_plans(store, both, pacing_plan([[3, 2]] * 2, 0), 0)
        store.fail_deletes = True
        reader.forget(MEMBER)
        assert_array_equal(
            reader.read_plans_in_force(both, np.zeros(2, np.int64)).plan.target, [SAFE, (3, 2)]
        )
        store.fail_deletes = False
        reader.flush_pending_deletes()
        write(reader, (5, 5), week=0)
        assert read(reader, TUESDAY) == (5, 5)


def test_caps_shapes_and_versions_come_through_every_fallback() -> None:
    store = FaultyStore(InMemoryFeatureStore(), Faults())
    reader = opened(store)
    plan = pacing_plan([[3, 2]], 1, cap=[[5, 2]], shape=4, policy_version=9)
    write_plans(store, MEMBER, plan, WEEK_SECONDS)
    for now in (WEEK_SECONDS, 2 * WEEK_SECONDS):
        found = reader.read_plans_in_force(MEMBER, np.array([now])).plan
        for name, column in plan._asdict().items():
            assert_array_equal(getattr(found, name), column)
            assert getattr(found, name).dtype == column.dtype
        store.empty()


class TestARowThatNoPlannerWrote:
    def test_of_a_week_that_is_not_its_stamps_is_not_remembered_for_ever(self) -> None:
        reader = opened()
        write(reader, (3, 2), week=4)
        table = reader.store._tables["plans"]
        table._columns["week"][1:] = 10**6  # the stamp stays that of week 4
        assert read(reader, 5 * WEEK_SECONDS) == SAFE
        assert read(reader, 40 * WEEK_SECONDS) == SAFE

    @pytest.mark.parametrize("column", ["target", "cap", "shape", "week", "policy_version"])
    def test_is_refused_if_its_shape_is_another_and_nothing_is_remembered(self, column) -> None:
        store = Reshaping(InMemoryFeatureStore(), Faults())
        reader = opened(store)
        write(reader, (3, 2), week=4)
        before = reader.snapshot().arrays
        store.column = column
        with pytest.raises(ValueError, match="the store returned plans of shapes"):
            read(reader, 4 * WEEK_SECONDS)
        for name, values in reader.snapshot().arrays.items():
            assert_array_equal(values, before[name])
        store.column = None
        assert read(reader, 4 * WEEK_SECONDS) == (3, 2)

    def test_is_no_memory_of_a_reader_in_a_world_of_other_channels(self) -> None:
        state = PlanReader(world("in_app"), InMemoryFeatureStore()).snapshot()
        with pytest.raises(ValueError, match="rows are of view"):
            opened().restore(state)

    def test_is_cut_to_the_menu_in_a_memory_that_is_restored(self) -> None:
        reader = opened()
        write(reader, (3, 2), week=4)
        read(reader, 4 * WEEK_SECONDS)
        state = reader.snapshot()
        for name in ("target", "cap"):
            state.arrays[f"remembered/values/{name}"][:] = 2**31 - 1
        reader.restore(state)
        found = reader.read_plans_in_force(MEMBER, np.array([4 * WEEK_SECONDS])).plan
        assert_array_equal(found.target, [WORLD.plans.max(axis=0)])
        assert_array_equal(found.cap, found.target)


def test_a_copy_of_a_reader_remembers_for_itself() -> None:
    reader = opened()
    write(reader, (3, 2), week=4)
    read(reader, 4 * WEEK_SECONDS)
    copy = deepcopy(reader)
    write(copy, (5, 5), week=5)
    assert read(copy, 5 * WEEK_SECONDS) == (5, 5)
    again = restored(copy)
    again.store = InMemoryFeatureStore()
    assert read(again, 5 * WEEK_SECONDS) == (5, 5), "its snapshot has what it used"
    assert read(reader, 5 * WEEK_SECONDS) == (3, 2)
