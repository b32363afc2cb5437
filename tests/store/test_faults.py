"""The faulty store fails as ordered, and not otherwise."""

import numpy as np
import pytest

from slowfast_rl.members.clock import DAY_SECONDS
from slowfast_rl.store import (
    FeatureStore,
    InMemoryFeatureStore,
    Status,
    StoreUnavailableError,
    pacing_plan,
    plan_view,
    read_plans,
    write_plans,
)
from tests.store.faults import Faults, FaultyStore

MEMBERS = np.arange(3)


def faulty(faults: Faults) -> FaultyStore:
    store = FaultyStore(InMemoryFeatureStore(), faults)
    store.apply([plan_view(2)])
    return store


def plan(store: FeatureStore, week: int, now: int) -> int:
    return write_plans(store, MEMBERS, pacing_plan(np.ones((3, 2), np.int32), week), now)


def status(store: FeatureStore, now: int) -> set[Status]:
    return {Status(code) for code in read_plans(store, MEMBERS, now)[1]}


def test_without_faults_calls_pass_through() -> None:
    store = faulty(Faults())
    assert plan(store, week=0, now=0) == 3
    assert status(store, 0) == {Status.PRESENT}
    twin = faulty(Faults())
    twin.restore(store.snapshot())
    assert status(twin, 0) == {Status.PRESENT}
    assert store.delete("plans", [0]) == 1
    assert status(store, 0) == {Status.PRESENT, Status.NOT_FOUND}
    assert store.counters["not_found_reads"] == 1


def test_dropped_writes_are_lost_silently() -> None:
    store = faulty(Faults(drop_writes=True))
    assert plan(store, week=0, now=0) == 3
    store.faults = Faults()
    assert status(store, 0) == {Status.NOT_FOUND}


def test_delayed_writes_arrive_when_due() -> None:
    store = faulty(Faults(delay_seconds=DAY_SECONDS))
    assert plan(store, week=0, now=5) == 3
    assert status(store, DAY_SECONDS + 4) == {Status.NOT_FOUND}
    assert status(store, DAY_SECONDS + 5) == {Status.PRESENT}


def test_an_emptied_store_keeps_its_views_and_takes_new_plans() -> None:
    store = faulty(Faults())
    plan(store, week=0, now=0)
    store.empty()
    assert status(store, 0) == {Status.NOT_FOUND}
    assert plan(store, week=0, now=1) == 3
    assert status(store, 1) == {Status.PRESENT}


def test_empty_reads_find_nothing_and_lose_nothing() -> None:
    store = faulty(Faults(empty_reads=True))
    plan(store, week=0, now=0)
    assert status(store, 0) == {Status.NOT_FOUND}
    store.faults = Faults()
    assert status(store, 0) == {Status.PRESENT}


def test_an_unreachable_store_raises_on_schedule() -> None:
    store = faulty(Faults())
    store.faults = lambda now: Faults(fail_reads=now >= 10, fail_writes=now >= 20)
    assert plan(store, week=0, now=19) == 3
    assert status(store, 9) == {Status.PRESENT}
    with pytest.raises(StoreUnavailableError, match="read at 10 s"):
        status(store, 10)
    with pytest.raises(StoreUnavailableError, match="write at 20 s"):
        plan(store, week=0, now=20)
