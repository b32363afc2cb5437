"""What every feature store refuses, by name and without a change."""

from typing import Any

import numpy as np
import pytest

from slowfast_rl.store import Column, FeatureView, Status
from tests.store.backends import MakeStore
from tests.store.cases import TRAITS, assert_same_state, observations, opened


class StoreErrorsContract:
    """Subclass it with `make_store` parametrised over backends."""

    def test_a_view_may_be_applied_twice_but_not_changed(self, make_store: MakeStore) -> None:
        store = opened(make_store)
        store.write_to_online_store("traits", [5], {"score": np.ones(1)}, 7)
        store.apply([TRAITS])
        assert store.get_online_features("traits", [5], 7).status[0] == Status.PRESENT
        other = FeatureView("other", {"score": Column("int8")})
        changed = FeatureView("traits", {"score": Column("float32")})
        with pytest.raises(ValueError, match="'traits' is registered as"):
            store.apply([other, changed])
        with pytest.raises(ValueError, match="unknown view 'other': registered are observations"):
            store.get_online_features("other", [5], 7)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            (
                {"view": "observation"},
                "unknown view 'observation': registered are observations, traits, plans",
            ),
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
        store.write_to_online_store("observations", [7, 8], observations([7, 8]), 5)
        before = store.snapshot()
        arguments: dict[str, Any] = {
            "view": "observations",
            "entity_ids": [7, 8, 9],
            "event_timestamp": 6,
        }
        rows: dict[str, Any] = observations([70, 80, 90])
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
            ("observation", [7], 6, "unknown view 'observation'"),
            ("observations", [7, -8], 6, "entity id -8"),
            ("observations", 7, 6, r"entity_ids of shape \(\)"),
            ("observations", ["7"], 6, "entity_ids of dtype"),
            ("observations", [7], -6, "now -6"),
            ("observations", [7, 8], [6, -6], "now -6"),
            ("observations", [7, 8], [6], r"now of shape \(1,\): .* \[2\]"),
            ("observations", [7], 6.0, "now of dtype float64"),
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
        store.write_to_online_store("observations", [7], observations([71]), 5)
        with pytest.raises(ValueError, match="entity id -1"):
            store.delete("observations", [7, -1])
        with pytest.raises(ValueError, match="unknown view 'observation'"):
            store.delete("observation", [7])
        assert store.get_online_features("observations", [7], 5).status[0] == Status.PRESENT
