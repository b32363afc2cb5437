"""A write as every backend takes it in: checked, in the view's dtypes, and stamped."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from slowfast_rl.members.arrays import Int64
from slowfast_rl.store.checks import check_distinct, check_ids, check_rows, check_times
from slowfast_rl.store.rules import stamp_rows
from slowfast_rl.store.views import FeatureView


class Incoming(NamedTuple):
    """One row for each of B distinct entities."""

    ids: Int64  # [B]
    values: dict[str, NDArray[Any]]  # [B, *shape] per column
    stamps: Int64  # [B] seconds, under which the rows are kept
    clock: Int64  # [B] seconds, the writer's


def incoming(
    view: FeatureView,
    entity_ids: ArrayLike,
    rows: Mapping[str, ArrayLike],
    event_timestamp: ArrayLike,
) -> Incoming:
    """Returns what `FeatureStore.write_to_online_store` was given; arrays may be the caller's.

    Raises:
        ValueError: as that method does.
    """
    ids = check_ids(entity_ids)
    check_distinct(ids)
    values = check_rows(view, rows, len(ids))
    times = check_times("event_timestamp", event_timestamp, len(ids))
    clock = np.broadcast_to(np.asarray(times), ids.shape)
    return Incoming(ids, values, stamp_rows(view, values, clock), clock)
