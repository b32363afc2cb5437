"""Conversion between the rows of a store and the state that `snapshot` returns."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from slowfast_rl.members.arrays import Int64
from slowfast_rl.store.checks import check_distinct, check_ids, check_rows, check_times
from slowfast_rl.store.protocol import StoreState
from slowfast_rl.store.views import FeatureView

COUNTERS = ("refused_writes", "stale_reads", "not_found_reads")


class ViewRows(NamedTuple):
    """All R rows of one view in ascending order of id: ids [R], columns [R, *shape], stamps [R]."""

    view: FeatureView
    entity_ids: Int64
    values: Mapping[str, NDArray[Any]]
    event_timestamp: Int64


def pack_state(views: Iterable[ViewRows], counters: Mapping[str, int]) -> StoreState:
    """Return the state of a store that holds these rows; arrays are not copied."""
    arrays: dict[str, NDArray[Any]] = {}
    described = []
    for view, ids, values, stamps in views:
        described.append(view.to_json())
        arrays[f"{view.name}/entity_ids"] = ids
        arrays[f"{view.name}/event_timestamp"] = stamps
        for name, column in values.items():
            arrays[f"{view.name}/values/{name}"] = column
    return StoreState(arrays, {"views": described, "counters": dict(counters)})


def unpack_state(state: StoreState) -> tuple[list[ViewRows], dict[str, int]]:
    """Return the rows and counters that a state describes.

    Raises:
        ValueError: an entry is missing or unknown, or does not fit its view.
    """
    arrays = dict(state.arrays)
    rows = []
    try:
        for view in map(FeatureView.from_json, state.metadata["views"]):
            ids = check_ids(arrays.pop(f"{view.name}/entity_ids"))
            check_distinct(ids)
            stamps = check_times("stamps", arrays.pop(f"{view.name}/event_timestamp"), len(ids))
            values = {name: arrays.pop(f"{view.name}/values/{name}") for name in view.columns}
            values = check_rows(view, values, len(ids))
            rows.append(ViewRows(view, ids, values, np.broadcast_to(stamps, ids.shape)))
        counters = {name: int(state.metadata["counters"][name]) for name in COUNTERS}
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a store's state: {error!r}") from error
    if arrays:
        raise ValueError(f"not a store's state: no view has the arrays {', '.join(arrays)}")
    return rows, counters
