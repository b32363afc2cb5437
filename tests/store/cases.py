"""Views that only tests use, rows of them, and what it means that two stores answer the same."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import ArrayLike, NDArray

from slowfast_rl.store import (
    Column,
    FeatureStore,
    FeatureView,
    OnlineResponse,
    StoreState,
    plan_view,
)
from tests.store.backends import MakeStore

MAX_AGE = 100
OBSERVATIONS = FeatureView(
    "observations",
    {"opens": Column("float32", (3,)), "streak": Column("int32"), "alive": Column("bool")},
    max_age_seconds=MAX_AGE,
)
TRAITS = FeatureView("traits", {"score": Column("float64")})

ids_anywhere = st.one_of(
    st.integers(0, 40), st.integers(10**9, 10**9 + 40), st.integers(0, 2**63 - 1)
)


def observations(streak: ArrayLike) -> dict[str, NDArray[Any]]:
    """Rows told apart by their streak."""
    streaks = np.asarray(streak, np.int32)
    opens = streaks[:, None] + np.array([0.25, 0.5, 0.75], np.float32)
    return {"opens": opens.astype(np.float32), "streak": streaks, "alive": streaks % 2 == 1}


def opened(make_store: MakeStore) -> FeatureStore:
    store = make_store()
    store.apply([OBSERVATIONS, TRAITS, plan_view(2)])
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
