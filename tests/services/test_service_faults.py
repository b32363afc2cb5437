"""Whatever fails between planner and executor: counted, guarded, and over when it is over."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.members.population import Population
from slowfast_rl.services import served_plans
from slowfast_rl.services.simulation import SimulationService
from slowfast_rl.slow import FixedPlanner
from slowfast_rl.store import (
    Column,
    FeatureView,
    InMemoryFeatureStore,
    SharedMemoryFeatureStore,
    StoreUnavailableError,
    pacing_plan,
    plan_view,
    write_plans,
)
from tests.envs.stores import CuttableStore
from tests.members.worlds import world
from tests.services.services import MEMBERS, Pair, some_executor
from tests.store.faults import Faults, FaultyStore

WORLD = world("eventful")
DEATHLESS = world("deathless")
PLAN, SAFE = (5, 2), (1, 1)


def pair_on(store=None, w=DEATHLESS) -> Pair:
    return Pair(w, store, planner=FixedPlanner(w, PLAN))


def served_by(pair: Pair, week: int) -> set[str]:
    of_week = pair.column("time") // WEEK_SECONDS == week
    return set(pair.column("plan_source")[of_week])


def test_a_late_plan_takes_over_from_the_fallback_at_the_next_opportunity() -> None:
    pair = pair_on()
    pair.live(2, planner_is_up=False)
    pair.live(5)
    source, day = pair.column("plan_source"), pair.column("time") // DAY_SECONDS
    assert set(source[day < 2]) == {"safe"}
    assert set(source[day >= 2]) == {"plan"}
    counters = pair.simulation_service.counters
    assert counters["fallbacks"] == MEMBERS
    assert counters["mid_week_plan_changes"] == MEMBERS
    pair.assert_guarded()


def test_with_the_planner_down_the_last_plan_serves_four_weeks_then_the_safe_one() -> None:
    pair = pair_on()
    pair.live(7)
    pair.live(6 * 7, planner_is_up=False)
    assert served_by(pair, 0) == {"plan"}
    for week in (1, 2, 3, 4):
        assert served_by(pair, week) == {"remembered"}
    for week in (5, 6):
        assert served_by(pair, week) == {"safe"}
    assert pair.simulation_service.counters["fallbacks"] == 6 * MEMBERS
    pair.live(7)
    assert served_by(pair, 7) == {"plan"}
    assert pair.simulation_service.counters["fallbacks"] == 6 * MEMBERS
    pair.assert_guarded()


def test_a_store_out_of_reach_is_counted_and_used_again_when_it_answers() -> None:
    store = CuttableStore()
    pair = pair_on(store)

    def cut(now: int) -> None:
        store.down = WEEK_SECONDS <= now < 2 * WEEK_SECONDS - DAY_SECONDS

    pair.live(3 * 7, cut)
    assert pair.simulation_service.counters["unreachable_days"] == 6
    assert pair.simulation_service.counters["fallbacks"] == MEMBERS
    assert served_by(pair, 1) == {"remembered", "plan"}
    assert served_by(pair, 2) == {"plan"}
    pair.assert_guarded()


@pytest.mark.parametrize("planner_restarts", [False, True])
def test_a_store_that_restarts_empty_is_filled_again_and_plans_in_use_hold(
    planner_restarts: bool,
) -> None:
    store = FaultyStore(InMemoryFeatureStore(), Faults())
    pair = pair_on(store)

    def empty(now: int) -> None:
        if now == 3 * DAY_SECONDS + 60 * 60 * 8:
            store.empty()
            if planner_restarts:
                pair.planning = pair.new_planning(FixedPlanner(DEATHLESS, (14, 7)))

    pair.live(2 * 7, empty)
    assert served_by(pair, 0) == {"plan"}
    first = pair.column("time") < WEEK_SECONDS
    assert set(pair.column("target")[first]) - {0} == set(PLAN)
    assert pair.simulation_service.counters["fallbacks"] == 0
    assert pair.simulation_service.counters["mid_week_plan_changes"] == 0
    pair.assert_guarded()


def test_a_planner_whose_clock_is_ahead_neither_breaks_this_week_nor_a_later_one() -> None:
    pair = pair_on()

    def skewed(now: int) -> None:
        if now == 2 * DAY_SECONDS:  # a plan of a week that the executor has not reached
            ids = np.arange(MEMBERS)
            ahead = pacing_plan(np.tile([9, 5], (MEMBERS, 1)), 1)
            write_plans(pair.store, ids, ahead, WEEK_SECONDS)

    pair.live(3 * 7, skewed)
    first = pair.column("time") < WEEK_SECONDS
    assert set(pair.column("target")[first]) - {0} == set(PLAN)
    assert served_by(pair, 0) == {"plan"}
    assert served_by(pair, 2) == {"plan"}
    assert pair.simulation_service.counters["fallbacks"] == 0
    pair.assert_guarded()


def test_a_planner_whose_clock_is_behind_writes_plans_that_only_count_as_remembered() -> None:
    pair = pair_on()
    pair.live(7)
    pair.look = lambda: pair.planning.plan_at(0)
    pair.live(7)
    assert served_by(pair, 1) == {"remembered"}
    assert pair.simulation_service.counters["fallbacks"] == MEMBERS
    pair.assert_guarded()


def test_a_planner_of_a_newer_schema_is_told_so_and_the_executor_goes_on() -> None:
    pair = pair_on()
    pair.live(7)
    columns = dict(plan_view(2).columns) | {"tone": Column("int8")}
    newer = FeatureView("plans", columns, WEEK_SECONDS, sticky_week=True)
    with pytest.raises(ValueError, match="'plans' is registered as"):
        pair.store.apply([newer])
    pair.live(7, planner_is_up=False)
    assert served_by(pair, 1) == {"remembered"}
    pair.live(7)
    assert served_by(pair, 2) == {"plan"}


def test_views_that_another_process_removed_are_registered_again(tmp_path) -> None:
    store = SharedMemoryFeatureStore("test", tmp_path)
    pair = pair_on(store)
    pair.live(3)
    SharedMemoryFeatureStore("test", tmp_path).restore(InMemoryFeatureStore().snapshot())
    pair.live(11)
    assert served_by(pair, 0) == {"plan"}
    assert served_by(pair, 1) == {"plan"}
    pair.assert_guarded()
    SharedMemoryFeatureStore("test", tmp_path).restore(InMemoryFeatureStore().snapshot())
    assert pair.planning.plan_if_due() is None  # there is no clock until the next day
    pair.live(1)
    assert served_by(pair, 2) == {"plan"}


def test_views_that_another_process_removes_again_and_again_do_not_end_the_executor(
    tmp_path,
) -> None:
    store = SharedMemoryFeatureStore("test", tmp_path)
    other = SharedMemoryFeatureStore("test", tmp_path)
    pair = pair_on(store)
    remove = InMemoryFeatureStore().snapshot()
    pair.live(8, before=lambda now: other.restore(remove), planner_is_up=False)
    assert len(pair.column("time"))
    pair.assert_guarded()


def test_a_plan_that_observations_do_not_suffice_for_is_spread_evenly_and_told_once(
    monkeypatch,
) -> None:
    told = []
    monkeypatch.setattr(
        served_plans._LOG, "warning", lambda text, *values: told.append(text % values)
    )
    w = world("shaped")
    store = InMemoryFeatureStore()
    service = SimulationService(Population(w, 4), some_executor(w), store)
    write_plans(store, [1], pacing_plan([[5, 2]], 0, shape=2), 0)
    decisions = [d for _ in range(7) for d in service.simulate_day()]
    assert sum(len(d["time"]) for d in decisions) > 4
    assert set(np.concatenate([d["plan_source"] for d in decisions])) == {"plan", "safe"}
    (warning,) = told
    assert "the plan of member 1 has shape" in warning


class ChaoticStore(CuttableStore):
    """Fails as a list of faults says, one after the other."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__()
        self._faults = faults

    def next(self) -> None:
        fault = self._faults.pop(0) if self._faults else "none"
        self.down = fault == "down"
        self.fail_deletes = False
        if fault == "empty":
            self.empty()
        if fault in ("drop", "blind"):
            self.faults = Faults(drop_writes=fault == "drop", empty_reads=fault == "blind")


@settings(max_examples=15)
@given(
    faults=st.lists(
        st.sampled_from(["none", "down", "empty", "drop", "blind", "restart", "planner down"]),
        min_size=20,
        max_size=84,
    )
)
def test_no_sequence_of_faults_gets_past_the_guard_or_stops_anybody(faults: list[str]) -> None:
    store = ChaoticStore([f for f in faults if f not in ("restart", "planner down")])
    pair = Pair(WORLD, store)
    plans = list(faults)

    def fail(now: int) -> None:
        store.next()
        fault = plans.pop(0) if plans else "none"
        if fault == "restart":
            with suppress(StoreUnavailableError):
                pair.planning = pair.new_planning()

    pair.live(4 * 7, fail)
    pair.assert_guarded()
    store.down, store._faults = False, []
    fallbacks = pair.simulation_service.counters["fallbacks"]
    pair.live(7)
    assert served_by(pair, 4) == {"plan"}
    assert pair.simulation_service.counters["fallbacks"] == fallbacks
