"""What every feature store does with rows: writes, reads, ages, deletes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.store import Status
from tests.store.backends import MakeStore
from tests.store.cases import MAX_AGE, ids_anywhere, observations, opened


class StoreRowsContract:
    """Subclass it with `make_store` parametrised over backends."""

    def test_a_written_row_reads_back_present_in_the_order_asked(
        self, make_store: MakeStore
    ) -> None:
        store = opened(make_store)
        assert (
            store.write_to_online_store("observations", [5, 3, 9], observations([50, 31, 90]), 7)
            == 3
        )
        response = store.get_online_features("observations", [9, 5, 3, 9], 7)
        for name, column in observations([90, 50, 31, 90]).items():
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
        store.write_to_online_store("observations", [5], observations([51]), 7)
        response = store.get_online_features("observations", [5, stranger], 9)
        assert_array_equal(response.status, [Status.PRESENT, Status.NOT_FOUND])
        assert_array_equal(response.event_timestamp, [7, 0])
        for column in response.values.values():
            assert column[0].any()
            assert not column[1].any()

    def test_an_empty_batch_reads_and_writes_nothing(self, make_store: MakeStore) -> None:
        store = opened(make_store)
        nobody = np.zeros(0, np.int64)
        assert store.write_to_online_store("observations", nobody, observations([]), 7) == 0
        response = store.get_online_features("observations", nobody, 7)
        assert response.status.shape == (0,)
        assert response.values["opens"].shape == (0, 3)
        assert store.delete("observations", nobody) == 0

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
        assert store.get_online_features("observations", [5], 7).status[0] == Status.NOT_FOUND
        store.delete("observations", [5])
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
        store.write_to_online_store("observations", [5], observations([51]), 1000)
        response = store.get_online_features("observations", [5], 1000 + age)
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
        store.write_to_online_store(
            "observations", [1, 2, 3], observations([1, 2, 3]), [100, 200, 300]
        )
        response = store.get_online_features("observations", [1, 2, 3, 4], [200, 200, 200, 200])
        assert_array_equal(
            response.status,
            [Status.OUTSIDE_MAX_AGE, Status.PRESENT, Status.NOT_FOUND, Status.NOT_FOUND],
        )
        response = store.get_online_features("observations", [1, 2, 3, 3], [199, 300, 300, 299])
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
            store.write_to_online_store(
                "observations", ids, observations(np.arange(len(ids)) + 1), times
            )
            asked = asked + [(row[0], asked[0][1]) for row in written]
        ids, now = map(np.array, zip(*asked, strict=True))
        batch = store.get_online_features("observations", ids, now)
        for row, (entity, time) in enumerate(asked):
            alone = store.get_online_features("observations", [entity], time)
            assert batch.status[row] == alone.status[0]
            assert batch.event_timestamp[row] == alone.event_timestamp[0]
            for name, column in batch.values.items():
                assert_array_equal(column[row], alone.values[name][0])

    def test_an_older_write_is_refused_and_an_equal_one_wins(self, make_store: MakeStore) -> None:
        store = opened(make_store)
        store.write_to_online_store("observations", [1, 2, 3], observations([1, 2, 3]), 50)
        accepted = store.write_to_online_store(
            "observations", [3, 2, 1, 4], observations([30, 20, 10, 40]), [51, 50, 49, 0]
        )
        assert accepted == 3
        response = store.get_online_features("observations", [1, 2, 3, 4], 60)
        assert_array_equal(response.values["streak"], [1, 20, 30, 40])
        assert_array_equal(response.event_timestamp, [50, 50, 51, 0])
        assert store.counters["refused_writes"] == 1

    def test_a_row_of_a_mistaken_clock_blocks_no_row_of_the_right_one(
        self, make_store: MakeStore
    ) -> None:
        store = opened(make_store)
        for stamp in (2**63 - 1, 5000 * WEEK_SECONDS):
            store.write_to_online_store("observations", [1], observations([1]), stamp)
            accepted = store.write_to_online_store("observations", [1], observations([2]), 50)
            assert accepted == 1
            assert store.get_online_features("observations", [1], 50).values["streak"][0] == 2

    def test_stale_and_missing_reads_are_counted(self, make_store: MakeStore) -> None:
        store = opened(make_store)
        assert set(store.counters.values()) == {0}
        store.write_to_online_store("observations", [1, 2], observations([1, 2]), [0, 70])
        store.get_online_features("observations", [1, 2, 2, 3], 50)
        store.get_online_features("observations", [1, 2, 1], 120)
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
        ids, rows = np.array([1, far]), observations([1, 2])
        store.write_to_online_store("observations", ids, rows, 7)
        response = store.get_online_features("observations", ids, 7)
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
        again = store.get_online_features("observations", [1, far], 7)
        assert_array_equal(again.values["streak"], [1, 2])
        assert_array_equal(again.status, [Status.PRESENT] * 2)
        assert_array_equal(again.event_timestamp, [7, 7])

    def test_deleted_rows_are_gone_and_may_be_written_anew(self, make_store: MakeStore) -> None:
        store = opened(make_store)
        store.write_to_online_store("observations", [1, 2, 3], observations([1, 2, 3]), 50)
        assert store.delete("observations", [3, 1, 99, 3]) == 2
        response = store.get_online_features("observations", [1, 2, 3], 50)
        assert_array_equal(response.status, [Status.NOT_FOUND, Status.PRESENT, Status.NOT_FOUND])
        assert store.write_to_online_store("observations", [3, 4], observations([30, 40]), 10) == 2
        response = store.get_online_features("observations", [1, 2, 3, 4], 50)
        assert_array_equal(response.values["streak"], [0, 2, 30, 40])
