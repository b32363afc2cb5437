"""A join as of each decision finds what a reader would have found, and nothing that came later."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from slowfast_rl.members.clock import DAY_SECONDS, WEEK_SECONDS
from slowfast_rl.store import (
    FeatureHistory,
    FeatureStore,
    InMemoryFeatureStore,
    Status,
    pacing_plan,
    plan_view,
    write_plans,
)
from tests.contracts.plan_contract import PlanContract
from tests.contracts.store_errors_contract import StoreErrorsContract
from tests.contracts.store_rows_contract import StoreRowsContract
from tests.contracts.store_snapshot_contract import StoreSnapshotContract
from tests.store.backends import BACKENDS
from tests.store.cases import MAX_AGE, OBSERVATIONS, TRAITS, assert_same_response, observations


def in_front_of_memory() -> FeatureStore:
    return FeatureHistory(InMemoryFeatureStore())


@pytest.mark.parametrize("make_store", [in_front_of_memory], ids=["history"])
class TestHistoryIsAStore(
    StoreRowsContract, StoreErrorsContract, StoreSnapshotContract, PlanContract
):
    """The suites of every store."""


def history(store: FeatureStore | None = None) -> FeatureHistory:
    kept = FeatureHistory(store or InMemoryFeatureStore())
    kept.apply([OBSERVATIONS, plan_view(2)])
    return kept


def test_a_plan_written_on_wednesday_is_no_part_of_a_decision_on_tuesday() -> None:
    store, wednesday = history(), 2 * DAY_SECONDS
    write_plans(store, [17], pacing_plan([[3, 1]], 0), wednesday)
    asked = [DAY_SECONDS, wednesday - 1, wednesday, WEEK_SECONDS - 1, WEEK_SECONDS]
    joined = store.get_historical_features([17] * 5, asked, "plans")
    assert_array_equal(
        joined.status,
        [Status.NOT_FOUND] * 2 + [Status.PRESENT] * 2 + [Status.OUTSIDE_MAX_AGE],
    )
    assert_array_equal(joined.values["target"][:, 0], [0, 0, 3, 3, 3])
    assert_array_equal(joined.event_timestamp, [0] * 5)


def test_every_decision_keeps_its_row_in_order_and_the_latest_known_plan_is_joined() -> None:
    store = history()
    for week, push in ((0, 3), (1, 5), (2, 7)):
        write_plans(
            store, [1, 2], pacing_plan([[push, 1], [push + 1, 1]], week), week * WEEK_SECONDS
        )
    ids = [2, 9, 1, 2, 1]
    times = np.array([2, 2, 0, 0, 1]) * WEEK_SECONDS + 5
    joined = store.get_historical_features(ids, times, "plans")
    assert_array_equal(joined.values["target"][:, 0], [8, 0, 3, 4, 5])
    assert_array_equal(joined.status == Status.NOT_FOUND, [False, True, False, False, False])


def test_a_refused_plan_is_no_part_of_history() -> None:
    store = history()
    write_plans(store, [1], pacing_plan([[3, 1]], 0), 0)
    assert write_plans(store, [1, 2], pacing_plan([[9, 1], [9, 1]], 0), 5) == 1
    joined = store.get_historical_features([1, 2], 10, "plans")
    assert_array_equal(joined.values["target"][:, 0], [3, 9])


def test_an_accepted_row_with_a_nan_is_kept_beside_a_refused_one() -> None:
    store = FeatureHistory(InMemoryFeatureStore())
    store.apply([TRAITS])
    store.write_to_online_store("traits", [1], {"score": np.ones(1)}, 9)
    assert store.write_to_online_store("traits", [1, 2], {"score": np.full(2, np.nan)}, 5) == 1
    joined = store.get_historical_features([1, 2], 10, "traits")
    assert_array_equal(joined.status, [Status.PRESENT] * 2)
    assert_array_equal(joined.values["score"], [1, np.nan])


def test_a_write_to_a_view_that_only_the_backend_knows_changes_nothing() -> None:
    backend = InMemoryFeatureStore()
    backend.apply([TRAITS])
    store = FeatureHistory(backend)
    with pytest.raises(ValueError, match="unknown view 'traits'"):
        store.write_to_online_store("traits", [1], {"score": np.ones(1)}, 9)
    assert backend.get_online_features("traits", [1], 9).status[0] == Status.NOT_FOUND


def test_a_store_that_restarted_empty_leaves_the_history_whole() -> None:
    backend = InMemoryFeatureStore()
    store = history(backend)
    write_plans(store, [1], pacing_plan([[3, 1]], 0), 0)
    backend.delete("plans", [1])
    assert write_plans(store, [1], pacing_plan([[6, 1]], 0), 100) == 1
    joined = store.get_historical_features([1, 1], [99, 100], "plans")
    assert_array_equal(joined.values["target"][:, 0], [3, 6])


def test_a_life_that_begins_anew_knows_nothing_of_the_last_one() -> None:
    store = history()
    write_plans(store, [1, 2], pacing_plan([[3, 1], [4, 1]], 0), 0)
    store.delete("plans", [1])
    joined = store.get_historical_features([1, 2], 50, "plans")
    assert_array_equal(joined.status, [Status.NOT_FOUND, Status.PRESENT])


@pytest.mark.parametrize("backend", BACKENDS)
@given(
    events=st.lists(
        st.tuples(
            st.sampled_from(["write", "read"]), st.integers(0, 3), st.integers(0, 2 * MAX_AGE)
        ),
        max_size=30,
    )
)
def test_history_joins_what_an_online_read_at_that_moment_found(backend, events) -> None:
    store, reads = history(BACKENDS[backend]()), []
    for number, (what, entity, time) in enumerate(sorted(events, key=lambda event: event[2])):
        if what == "write":
            store.write_to_online_store("observations", [entity], observations([number]), time)
        else:
            reads.append((entity, time, store.get_online_features("observations", [entity], time)))
    # Writes at a reader's own second may come after it: those reads are left out.
    writes = [(entity, time) for what, entity, time in events if what == "write"]
    reads = [read for read in reads if read[:2] not in writes]
    if reads:
        ids, times, found = zip(*reads, strict=True)
        joined = store.get_historical_features(list(ids), np.array(times), "observations")
        for row, online in enumerate(found):
            assert joined.status[row] == online.status[0]
            assert joined.event_timestamp[row] == online.event_timestamp[0]
            assert joined.values["streak"][row] == online.values["streak"][0]


def test_bad_questions_are_named() -> None:
    store = history()
    with pytest.raises(ValueError, match="unknown view 'other'"):
        store.get_historical_features([1], 0, "other")
    with pytest.raises(ValueError, match="timestamps -1"):
        store.get_historical_features([1], -1, "plans")
    empty = store.get_historical_features(np.zeros(0, np.int64), 0, "plans")
    assert empty.status.shape == (0,)
    assert_same_response(empty, store.get_online_features("plans", np.zeros(0, np.int64), 0))
