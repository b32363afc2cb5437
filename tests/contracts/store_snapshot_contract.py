"""What every feature store keeps in a snapshot, and what it restores from one."""

import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slowfast_rl.store import Column, FeatureView, StoreState
from tests.store.backends import MakeStore
from tests.store.cases import (
    OBSERVATIONS,
    assert_same_response,
    assert_same_state,
    ids_anywhere,
    observations,
    opened,
)


class StoreSnapshotContract:
    """Subclass it with `make_store` parametrised over backends."""

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
        store.write_to_online_store(
            "observations", ids, observations(np.arange(len(ids)) + 1), times
        )
        store.delete("observations", ids[::3])
        store.get_online_features("observations", ids, now)
        state, file = store.snapshot(), io.BytesIO()
        np.savez(file, **state.arrays)
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
            twin.get_online_features("observations", ids, now),
            store.get_online_features("observations", ids, now),
        )
        twin.apply([OBSERVATIONS])
        with pytest.raises(ValueError, match="unknown view 'forgotten'"):
            twin.delete("forgotten", [1])

    def test_equal_content_gives_equal_snapshots_whatever_the_history(
        self, make_store: MakeStore
    ) -> None:
        one, other = opened(make_store), opened(make_store)
        one.write_to_online_store("observations", [1, 2, 3], observations([1, 2, 3]), 5)
        other.write_to_online_store("observations", [3, 10**12], observations([4, 5]), 0)
        other.write_to_online_store("observations", [2, 3], observations([2, 3]), 5)
        other.write_to_online_store("observations", [1], observations([1]), 5)
        other.delete("observations", [10**12])
        assert_same_state(one.snapshot(), other.snapshot())

    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (
                lambda arrays, _: arrays.pop("observations/values/opens"),
                "observations/values/opens",
            ),
            (lambda arrays, _: arrays.update({"more/entity_ids": np.ones(1)}), "more/entity_ids"),
            (lambda arrays, _: arrays["observations/entity_ids"].fill(4), "id 4 comes twice"),
            (lambda arrays, _: arrays["observations/event_timestamp"].fill(-4), "-4"),
            (
                lambda arrays, _: arrays.update({"observations/values/streak": np.ones(2)}),
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
        store.write_to_online_store("observations", [1, 2], observations([1, 2]), 5)
        before, damaged = store.snapshot(), store.snapshot()
        damage(damaged.arrays, damaged.metadata)
        with pytest.raises(ValueError, match=message):
            store.restore(damaged)
        assert_same_state(store.snapshot(), before)
