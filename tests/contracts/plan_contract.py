"""What every feature store does with weekly plans: stickiness, and in force until the week ends."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.store import (
    FeatureStore,
    Status,
    pacing_plan,
    read_plans,
    write_plans,
)
from tests.store.backends import MakeStore
from tests.store.cases import opened

TUESDAY = DAY_SECONDS
MEMBER = [17]


def write(store: FeatureStore, week: int, now: int, push: int = 3) -> int:
    return write_plans(store, MEMBER, pacing_plan([[push, 1]], week), now)


def read(store: FeatureStore, now: int) -> tuple[int, int, Status]:
    plan, status = read_plans(store, MEMBER, now)
    return int(plan.week[0]), int(plan.target[0, 0]), Status(status[0])


class PlanContract:
    """Subclass it with `make_store` parametrised over backends."""

    def test_every_field_of_a_plan_reads_back(self, make_store: MakeStore) -> None:
        store = opened(make_store)
        plan = pacing_plan([[3, 1], [0, 7]], [2, 1], [[4, 1], [0, 9]], [0, 2], [11, 12])
        assert write_plans(store, [5, 17], plan, 2 * WEEK_SECONDS) == 2
        found, status = read_plans(store, [17, 5], [WEEK_SECONDS, 2 * WEEK_SECONDS])
        assert_array_equal(status, [Status.PRESENT] * 2)
        for name, column in found._asdict().items():
            written = getattr(plan, name)
            assert column.dtype == written.dtype
            assert_array_equal(column, written[::-1])

    @pytest.mark.parametrize("written", [0, 1, TUESDAY, WEEK_SECONDS - 1])
    def test_a_plan_is_in_force_until_its_week_ends_whenever_it_was_written(
        self, make_store: MakeStore, written: int
    ) -> None:
        store = opened(make_store)
        monday = 3 * WEEK_SECONDS
        assert write(store, week=3, now=monday + written) == 1
        response = store.get_online_features("plans", MEMBER, monday + written)
        assert response.event_timestamp[0] == monday
        assert read(store, monday + written) == (3, 3, Status.PRESENT)
        assert read(store, monday + WEEK_SECONDS - 1) == (3, 3, Status.PRESENT)
        assert read(store, monday + WEEK_SECONDS) == (3, 3, Status.OUTSIDE_MAX_AGE)
        assert read(store, monday - 1) == (0, 0, Status.NOT_FOUND)

    def test_a_plan_is_kept_through_its_week(self, make_store: MakeStore) -> None:
        store = opened(make_store)
        assert write(store, week=3, now=3 * WEEK_SECONDS, push=3) == 1
        assert write(store, week=3, now=3 * WEEK_SECONDS, push=5) == 0
        assert write(store, week=3, now=3 * WEEK_SECONDS + TUESDAY, push=6) == 0
        assert write(store, week=2, now=3 * WEEK_SECONDS + TUESDAY, push=7) == 0
        assert read(store, 3 * WEEK_SECONDS + TUESDAY) == (3, 3, Status.PRESENT)
        assert store.counters["refused_writes"] == 3
        assert write(store, week=4, now=4 * WEEK_SECONDS, push=8) == 1
        assert read(store, 4 * WEEK_SECONDS) == (4, 8, Status.PRESENT)

    def test_a_plan_for_a_week_to_come_is_refused(self, make_store: MakeStore) -> None:
        store = opened(make_store)
        assert write(store, week=3, now=3 * WEEK_SECONDS - 1) == 0
        assert read(store, 3 * WEEK_SECONDS) == (0, 0, Status.NOT_FOUND)
        assert store.counters["refused_writes"] == 1
        assert write(store, week=3, now=3 * WEEK_SECONDS) == 1

    def test_a_plan_for_a_past_week_is_accepted_and_reads_outside_max_age(
        self, make_store: MakeStore
    ) -> None:
        store = opened(make_store)
        write(store, week=1, now=WEEK_SECONDS, push=1)
        assert write(store, week=2, now=5 * WEEK_SECONDS, push=2) == 1
        assert read(store, 5 * WEEK_SECONDS) == (2, 2, Status.OUTSIDE_MAX_AGE)
        assert write(store, week=5, now=5 * WEEK_SECONDS, push=5) == 1
        assert read(store, 5 * WEEK_SECONDS) == (5, 5, Status.PRESENT)

    def test_each_member_of_a_batch_is_accepted_or_refused_alone(
        self, make_store: MakeStore
    ) -> None:
        store = opened(make_store)
        write_plans(store, [1, 2], pacing_plan([[1, 1], [2, 2]], [0, 1]), WEEK_SECONDS)
        plan = pacing_plan([[10, 0], [20, 0], [30, 0], [40, 0]], [1, 1, 1, 2])
        assert write_plans(store, [1, 2, 3, 4], plan, WEEK_SECONDS) == 2
        assert store.counters["refused_writes"] == 2
        found, status = read_plans(store, [1, 2, 3, 4], WEEK_SECONDS)
        assert_array_equal(found.target[:, 0], [10, 2, 30, 0])
        assert_array_equal(status, [Status.PRESENT] * 3 + [Status.NOT_FOUND])

    def test_each_row_is_written_by_its_own_clock(self, make_store: MakeStore) -> None:
        store = opened(make_store)
        plan = pacing_plan([[1, 1]] * 3, week=2)
        clocks = np.array([2, 1, 3]) * WEEK_SECONDS
        assert write_plans(store, [1, 2, 3], plan, clocks) == 2
        _, status = read_plans(store, [1, 2, 3], clocks)
        assert_array_equal(status, [Status.PRESENT, Status.NOT_FOUND, Status.OUTSIDE_MAX_AGE])

    def test_a_member_that_starts_anew_may_be_planned_for_the_same_week(
        self, make_store: MakeStore
    ) -> None:
        store = opened(make_store)
        write(store, week=3, now=3 * WEEK_SECONDS, push=3)
        store.delete("plans", MEMBER)
        assert write(store, week=0, now=TUESDAY, push=5) == 1
        assert read(store, TUESDAY) == (0, 5, Status.PRESENT)

    @pytest.mark.parametrize("week", [-1, 9, 5000, 2**62])
    def test_a_week_that_no_clock_reaches_is_named_and_nothing_is_written(
        self, make_store: MakeStore, week: int
    ) -> None:
        store = opened(make_store)
        plan = pacing_plan([[1, 1], [1, 1]], 0)._replace(week=np.array([0, week]))
        with pytest.raises(ValueError, match=f"week {week}: allowed are 0 to 8, 8 weeks after"):
            write_plans(store, [1, 2], plan, 0)
        assert store.get_online_features("plans", [1], 0).status[0] == Status.NOT_FOUND

    def test_a_plan_of_a_mistaken_clock_blocks_no_plan_of_the_right_one(
        self, make_store: MakeStore
    ) -> None:
        store = opened(make_store)
        assert write(store, week=5000, now=5000 * WEEK_SECONDS) == 1
        assert read(store, 3 * WEEK_SECONDS)[2] == Status.NOT_FOUND
        assert write(store, week=3, now=3 * WEEK_SECONDS, push=5) == 1
        assert read(store, 3 * WEEK_SECONDS) == (3, 5, Status.PRESENT)
        assert write(store, week=3, now=3 * WEEK_SECONDS, push=6) == 0

    def test_a_write_that_arrives_late_replaces_no_later_plan(self, make_store: MakeStore) -> None:
        store = opened(make_store)
        assert write(store, week=10, now=10 * WEEK_SECONDS) == 1
        assert write(store, week=2, now=3 * WEEK_SECONDS - 1, push=5) == 0
        assert read(store, 10 * WEEK_SECONDS) == (10, 3, Status.PRESENT)

    def test_an_empty_batch_may_be_lists(self, make_store: MakeStore) -> None:
        store = opened(make_store)
        plan, status = read_plans(store, [], 0)
        assert (plan.target.shape, plan.week.shape, status.shape) == ((0, 2), (0,), (0,))
        assert read_plans(store, [], [])[1].shape == (0,)
        empty = pacing_plan(np.zeros((0, 2)), week=[], policy_version=[])
        assert write_plans(store, [], empty, []) == 0
        lists: dict[str, list[int]] = {name: [] for name in empty._fields}
        assert store.write_to_online_store("plans", [], lists, 0) == 0
        assert store.delete("plans", []) == 0

    @given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 7 * WEEK_SECONDS)), max_size=12))
    def test_the_stored_week_only_rises_and_never_leads_the_clock(
        self, make_store: MakeStore, attempts: list[tuple[int, int]]
    ) -> None:
        store = opened(make_store)
        stored = -1
        for push, (week, now) in enumerate(attempts):
            may = stored < week <= now // WEEK_SECONDS
            assert write(store, week, now, push) == may
            stored = week if may else stored
            if stored >= 0:
                age = 8 * WEEK_SECONDS - stored * WEEK_SECONDS
                assert age > WEEK_SECONDS
                assert read(store, 8 * WEEK_SECONDS)[::2] == (stored, Status.OUTSIDE_MAX_AGE)
                assert read(store, stored * WEEK_SECONDS)[::2] == (stored, Status.PRESENT)
