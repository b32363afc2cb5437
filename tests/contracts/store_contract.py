"""What every feature store does: reads, writes, age limits, refusals, snapshots."""

import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import ArrayLike, NDArray

from slowfast_rl.store import (
    Column,
    FeatureStore,
    FeatureView,
    OnlineResponse,
    Status,
    StoreState,
    plan_view,
)
from tests.store.backends import MakeStore

MAX_AGE = 100
SIGNALS = FeatureView(
    "signals",
    {"opens": Column("float32", (3,)), "streak": Column("int32"), "alive": Column("bool")},
    max_age_seconds=MAX_AGE,
)
TRAITS = FeatureView("traits", {"score": Column("float64")})

ids_anywhere = st.one_of(
    st.integers(0, 40), st.integers(10**9, 10**9 + 40), st.integers(0, 2**63 - 1)
)


def signals(streak: ArrayLike) -> dict[str, NDArray[Any]]:
    """Rows told apart by their streak."""
    streaks = np.asarray(streak, np.int32)
    opens = streaks[:, None] + np.array([0.25, 0.5, 0.75], np.float32)
    return {"opens": opens.astype(np.float32), "streak": streaks, "alive": streaks % 2 == 1}


def opened(make_store: MakeStore) -> FeatureStore:
    store = make_store()
    store.apply([SIGNALS, TRAITS, plan_view(2)])
    return store


def assert_same_response(one: OnlineResponse, other: OnlineResponse) -> None:
    assert_array_equal(one.status, other.status)
    assert_array_equal(one.event_timestamp, other.event_timestamp)
    assert one.values.keys() == other.values.keys()
    for name, column in one.values.items():
        assert_array_equal(column, other.values[name])


def assert_same_state(one: StoreState, other: StoreState) -> None:
    assert one.metadata == other.metadata
    assert one.arrays.keys() == other.arrays.keys()
    for name, array in one.arrays.items():
        assert array.dtype == other.arrays[name].dtype
        assert_array_equal(array, other.arrays[name])


class StoreContract:
    """Subclass it with `make_store` parametrised over backends."""

    def test_a_written_row_reads_back_present_in_the_order_asked(
        self, make_store: MakeStore
    ) -> None:
        store = opened(make_store)
        assert store.write_to_online_store("signals", [5, 3, 9], signals([50, 31, 90]), 7) == 3
        response = store.get_online_features("signals", [9, 5, 3, 9], 7)
        for name, column in signals([90, 50, 31, 90]).items():
            assert response.values[name].dtype == column.dtype
            assert_array_equal(response.values[name], column)
        assert_array_equal(response.status, [Status.PRESENT] * 4)
        assert_array_equal(response.event_timestamp, [7] * 4)
        assert response.status.dtype == np.int8
        assert response.event_timestamp.dtype == np.int64

    @pytest.mark.parametrize("stranger", [0, 4, 6, 10**12, 2**63 - 1])
    def test_a_row_never_written_is_not_found_and_zero(
        self, make_store: MakeStore, stranger: int
    ) -> None:
        store = opened(make_store)
        store.write_to_online_store("signals", [5], signals([51]), 7)
        response = store.get_online_features("signals", [5, stranger], 9)
        assert_array_equal(response.status, [Status.PRESENT, Status.NOT_FOUND])
        assert_array_equal(response.event_timestamp, [7, 0])
        for column in response.values.values():
            assert column[0].any()
            assert not column[1].any()

    def test_an_empty_batch_reads_and_writes_nothing(self, make_store: MakeStore) -> None:
        store = opened(make_store)
        nobody = np.zeros(0, np.int64)
        assert store.write_to_online_store("signals", nobody, signals([]), 7) == 0
        response = store.get_online_features("signals", nobody, 7)
        assert response.status.shape == (0,)
        assert response.values["opens"].shape == (0, 3)
        assert store.delete("signals", nobody) == 0

    def test_ids_near_and_far_apart_live_side_by_side(self, make_store: MakeStore) -> None:
        store = opened(make_store)
        batches = [[3, 4, 5], [10**15, 2**63 - 1], [6, 10**9], [0, 10**15 + 1]]
        for batch in batches:
            store.write_to_online_store("traits", batch, {"score": np.sqrt(batch)}, 0)
        everyone = np.concatenate([np.array(batch) for batch in batches])
        response = store.get_online_features("traits", everyone, 0)
        assert_array_equal(response.status, [Status.PRESENT] * len(everyone))
        assert_array_equal(response.values["score"], np.sqrt(everyone))

    def test_views_keep_their_rows_apart(self, make_store: MakeStore) -> None:
        store = opened(make_store)
        store.write_to_online_store("traits", [5], {"score": np.ones(1)}, 7)
        assert store.get_online_features("signals", [5], 7).status[0] == Status.NOT_FOUND
        store.delete("signals", [5])
        assert store.get_online_features("traits", [5], 7).status[0] == Status.PRESENT

    @pytest.mark.parametrize(
        ("age", "status"),
        [
            (-1, Status.NOT_FOUND),
            (0, Status.PRESENT),
            (MAX_AGE - 1, Status.PRESENT),
            (MAX_AGE, Status.OUTSIDE_MAX_AGE),
            (2**60, Status.OUTSIDE_MAX_AGE),
        ],
    )
    def test_status_follows_from_age(self, make_store: MakeStore, age: int, status: Status) -> None:
        store = opened(make_store)
        store.write_to_online_store("signals", [5], signals([51]), 1000)
        response = store.get_online_features("signals", [5], 1000 + age)
        found = status != Status.NOT_FOUND
        assert response.status[0] == status
        assert response.event_timestamp[0] == (1000 if found else 0)
        assert response.values["streak"][0] == (51 if found else 0)

    def test_a_view_without_max_age_never_grows_old(self, make_store: MakeStore) -> None:
        store = opened(make_store)
        store.write_to_online_store("traits", [5], {"score": np.ones(1)}, 0)
        assert store.get_online_features("traits", [5], 2**63 - 1).status[0] == Status.PRESENT

    def test_each_row_is_judged_by_its_own_now(self, make_store: MakeStore) -> None:
        store = opened(make_store)
        store.write_to_online_store("signals", [1, 2, 3], signals([1, 2, 3]), [100, 200, 300])
        response = store.get_online_features("signals", [1, 2, 3, 4], [200, 200, 200, 200])
        assert_array_equal(
            response.status,
            [Status.OUTSIDE_MAX_AGE, Status.PRESENT, Status.NOT_FOUND, Status.NOT_FOUND],
        )
        response = store.get_online_features("signals", [1, 2, 3, 3], [199, 300, 300, 299])
        assert_array_equal(
            response.status,
            [Status.PRESENT, Status.OUTSIDE_MAX_AGE, Status.PRESENT, Status.NOT_FOUND],
        )

    @given(
        written=st.lists(
            st.tuples(ids_anywhere, st.integers(0, 300)), unique_by=lambda row: row[0]
        ),
        asked=st.lists(st.tuples(ids_anywhere, st.integers(0, 600)), min_size=1),
    )
    def test_a_batch_reads_what_its_rows_read_alone(
        self,
        make_store: MakeStore,
        written: list[tuple[int, int]],
        asked: list[tuple[int, int]],
    ) -> None:
        store = opened(make_store)
        if written:
            ids, times = map(np.array, zip(*written, strict=True))
            store.write_to_online_store("signals", ids, signals(np.arange(len(ids)) + 1), times)
            asked = asked + [(row[0], asked[0][1]) for row in written]
        ids, now = map(np.array, zip(*asked, strict=True))
        batch = store.get_online_features("signals", ids, now)
        for row, (entity, time) in enumerate(asked):
            alone = store.get_online_features("signals", [entity], time)
            assert batch.status[row] == alone.status[0]
            assert batch.event_timestamp[row] == alone.event_timestamp[0]
            for name, column in batch.values.items():
                assert_array_equal(column[row], alone.values[name][0])

    def test_an_older_write_is_refused_and_an_equal_one_wins(self, make_store: MakeStore) -> None:
        store = opened(make_store)
        store.write_to_online_store("signals", [1, 2, 3], signals([1, 2, 3]), 50)
        accepted = store.write_to_online_store(
            "signals", [3, 2, 1, 4], signals([30, 20, 10, 40]), [51, 50, 49, 0]
        )
        assert accepted == 3
        response = store.get_online_features("signals", [1, 2, 3, 4], 60)
        assert_array_equal(response.values["streak"], [1, 20, 30, 40])
        assert_array_equal(response.event_timestamp, [50, 50, 51, 0])
        assert store.counters["refused_writes"] == 1

    def test_stale_and_missing_reads_are_counted(self, make_store: MakeStore) -> None:
        store = opened(make_store)
        assert set(store.counters.values()) == {0}
        store.write_to_online_store("signals", [1, 2], signals([1, 2]), [0, 70])
        store.get_online_features("signals", [1, 2, 2, 3], 50)
        store.get_online_features("signals", [1, 2, 1], 120)
        assert dict(store.counters) == {
            "refused_writes": 0,
            "stale_reads": 2,
            "not_found_reads": 3,
        }

    @pytest.mark.parametrize("far", [2, 2**60])
    def test_what_the_caller_does_to_its_arrays_stays_with_the_caller(
        self, make_store: MakeStore, far: int
    ) -> None:
        store = opened(make_store)
        ids, rows = np.array([1, far]), signals([1, 2])
        store.write_to_online_store("signals", ids, rows, 7)
        response = store.get_online_features("signals", ids, 7)
        snapshot = store.snapshot()
        for array in (
            *rows.values(),
            *response.values.values(),
            response.status,
            response.event_timestamp,
            *snapshot.arrays.values(),
        ):
            array[:] = 0
        ids[:] = 0
        again = store.get_online_features("signals", [1, far], 7)
        assert_array_equal(again.values["streak"], [1, 2])
        assert_array_equal(again.status, [Status.PRESENT] * 2)
        assert_array_equal(again.event_timestamp, [7, 7])

    def test_deleted_rows_are_gone_and_may_be_written_anew(self, make_store: MakeStore) -> None:
        store = opened(make_store)
        store.write_to_online_store("signals", [1, 2, 3], signals([1, 2, 3]), 50)
        assert store.delete("signals", [3, 1, 99, 3]) == 2
        response = store.get_online_features("signals", [1, 2, 3], 50)
        assert_array_equal(response.status, [Status.NOT_FOUND, Status.PRESENT, Status.NOT_FOUND])
        assert store.write_to_online_store("signals", [3, 4], signals([30, 40]), 10) == 2
        response = store.get_online_features("signals", [1, 2, 3, 4], 50)
        assert_array_equal(response.values["streak"], [0, 2, 30, 40])

    def test_a_view_may_be_applied_twice_but_not_changed(self, make_store: MakeStore) -> None:
        store = opened(make_store)
        store.write_to_online_store("traits", [5], {"score": np.ones(1)}, 7)
        store.apply([TRAITS])
        assert store.get_online_features("traits", [5], 7).status[0] == Status.PRESENT
        other = FeatureView("other", {"score": Column("int8")})
        changed = FeatureView("traits", {"score": Column("float32")})
        with pytest.raises(ValueError, match="'traits' is registered as"):
            store.apply([other, changed])
        with pytest.raises(ValueError, match="unknown view 'other': registered are signals"):
            store.get_online_features("other", [5], 7)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"view": "signal"}, "unknown view 'signal': registered are signals, traits, plans"),
            ({"entity_ids": [7, 8, 7]}, "entity id 7 comes twice"),
            ({"entity_ids": [7, -8, 9]}, "entity id -8: allowed are 0 and above"),
            ({"entity_ids": [7.0, 8.0, 9.0]}, "entity_ids of dtype float64"),
            ({"entity_ids": [True, False, True]}, "entity_ids of dtype bool"),
            ({"entity_ids": [[7, 8, 9]]}, r"entity_ids of shape \(1, 3\)"),
            ({"entity_ids": [7, 8]}, r"'opens' .* shape \(3, 3\): allowed is \(2, 3\)"),
            ({"streak": [1.0, 2.0, 3.0]}, "'streak' .* float64: .* safely to int32"),
            ({"streak": np.arange(3)}, "'streak' .* int64: .* safely to int32"),
            ({"streak": np.ones((3, 1), np.int32)}, r"shape \(3, 1\): allowed is \(3,\)"),
            ({"streaks": np.ones(3)}, "'streaks' is unknown; it has opens, streak, alive"),
            ({"alive": None}, "'alive' is missing; it has opens, streak, alive"),
            ({"event_timestamp": -1}, "event_timestamp -1: allowed are 0 seconds and above"),
            ({"event_timestamp": [9, -3, 9]}, "event_timestamp -3"),
            ({"event_timestamp": 9.5}, "event_timestamp of dtype float64"),
            ({"event_timestamp": 2**63}, "event_timestamp of dtype uint64"),
            ({"event_timestamp": [9, 9]}, r"event_timestamp of shape \(2,\): .* \[3\]"),
        ],
    )
    def test_a_bad_write_is_named_and_changes_nothing(
        self, make_store: MakeStore, changes: dict[str, Any], message: str
    ) -> None:
        store = opened(make_store)
        store.write_to_online_store("signals", [7, 8], signals([7, 8]), 5)
        before = store.snapshot()
        arguments: dict[str, Any] = {
            "view": "signals",
            "entity_ids": [7, 8, 9],
            "event_timestamp": 6,
        }
        rows: dict[str, Any] = signals([70, 80, 90])
        for name, value in changes.items():
            (arguments if name in arguments else rows)[name] = value
        rows = {name: column for name, column in rows.items() if column is not None}
        with pytest.raises(ValueError, match=message) as error:
            store.write_to_online_store(rows=rows, **arguments)
        assert "\n" not in str(error.value)
        assert_same_state(store.snapshot(), before)

    @pytest.mark.parametrize(
        ("view", "entity_ids", "now", "message"),
        [
            ("signal", [7], 6, "unknown view 'signal'"),
            ("signals", [7, -8], 6, "entity id -8"),
            ("signals", 7, 6, r"entity_ids of shape \(\)"),
            ("signals", ["7"], 6, "entity_ids of dtype"),
            ("signals", [7], -6, "now -6"),
            ("signals", [7, 8], [6, -6], "now -6"),
            ("signals", [7, 8], [6], r"now of shape \(1,\): .* \[2\]"),
            ("signals", [7], 6.0, "now of dtype float64"),
        ],
    )
    def test_a_bad_read_is_named_and_not_counted(
        self, make_store: MakeStore, view: str, entity_ids: Any, now: Any, message: str
    ) -> None:
        store = opened(make_store)
        with pytest.raises(ValueError, match=message):
            store.get_online_features(view, entity_ids, now)
        assert set(store.counters.values()) == {0}

    def test_a_bad_delete_is_named_and_deletes_nothing(self, make_store: MakeStore) -> None:
        store = opened(make_store)
        store.write_to_online_store("signals", [7], signals([71]), 5)
        with pytest.raises(ValueError, match="entity id -1"):
            store.delete("signals", [7, -1])
        with pytest.raises(ValueError, match="unknown view 'signal'"):
            store.delete("signal", [7])
        assert store.get_online_features("signals", [7], 5).status[0] == Status.PRESENT

    @given(
        written=st.lists(
            st.tuples(ids_anywhere, st.integers(0, 300)), min_size=1, unique_by=lambda row: row[0]
        ),
        now=st.integers(0, 400),
    )
    def test_a_snapshot_survives_numpy_files_and_json_without_pickle(
        self, make_store: MakeStore, written: list[tuple[int, int]], now: int
    ) -> None:
        store = opened(make_store)
        ids, times = map(np.array, zip(*written, strict=True))
        store.write_to_online_store("signals", ids, signals(np.arange(len(ids)) + 1), times)
        store.delete("signals", ids[::3])
        store.get_online_features("signals", ids, now)
        state, file = store.snapshot(), io.BytesIO()
        np.savez(file, allow_pickle=False, **state.arrays)
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            loaded = StoreState(dict(arrays), json.loads(json.dumps(state.metadata)))
        twin = make_store()
        twin.apply([FeatureView("forgotten", {"score": Column("int8")})])
        twin.restore(loaded)
        for array in loaded.arrays.values():
            array[...] = 0
        assert twin.counters == store.counters
        assert_same_state(twin.snapshot(), state)
        assert_same_response(
            twin.get_online_features("signals", ids, now),
            store.get_online_features("signals", ids, now),
        )
        twin.apply([SIGNALS])
        with pytest.raises(ValueError, match="unknown view 'forgotten'"):
            twin.delete("forgotten", [1])

    def test_equal_content_gives_equal_snapshots_whatever_the_history(
        self, make_store: MakeStore
    ) -> None:
        one, other = opened(make_store), opened(make_store)
        one.write_to_online_store("signals", [1, 2, 3], signals([1, 2, 3]), 5)
        other.write_to_online_store("signals", [3, 10**12], signals([4, 5]), 0)
        other.write_to_online_store("signals", [2, 3], signals([2, 3]), 5)
        other.write_to_online_store("signals", [1], signals([1]), 5)
        other.delete("signals", [10**12])
        assert_same_state(one.snapshot(), other.snapshot())

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (lambda arrays, _: arrays.pop("signals/values/opens"), "signals/values/opens"),
            (lambda arrays, _: arrays.update({"more/entity_ids": np.ones(1)}), "more/entity_ids"),
            (lambda arrays, _: arrays["signals/entity_ids"].fill(4), "id 4 comes twice"),
            (lambda arrays, _: arrays["signals/event_timestamp"].fill(-4), "-4"),
            (
                lambda arrays, _: arrays.update({"signals/values/streak": np.ones(2)}),
                "'streak' .* float64",
            ),
            (lambda _, metadata: metadata.pop("views"), "views"),
            (lambda _, metadata: metadata["counters"].pop("stale_reads"), "stale_reads"),
            (lambda _, metadata: metadata["views"][0].update(ttl=3), "ttl"),
        ],
    )
    def test_a_damaged_state_is_refused_and_replaces_nothing(
        self, make_store: MakeStore, damage: Any, message: str
    ) -> None:
        store = opened(make_store)
        store.write_to_online_store("signals", [1, 2], signals([1, 2]), 5)
        before, damaged = store.snapshot(), store.snapshot()
        damage(damaged.arrays, damaged.metadata)
        with pytest.raises(ValueError, match=message):
            store.restore(damaged)
        assert_same_state(store.snapshot(), before)
