"""Readers of plans under test: new ones, and ones that continue from a snapshot."""

import io
import json

import numpy as np

from slowfast_rl.members.clock import DAY_SECONDS
from slowfast_rl.policies import PlanReader
from slowfast_rl.store import FeatureStore, InMemoryFeatureStore, StoreState
from tests.members.worlds import world

WORLD = world("pronounced")
SAFE = WORLD.safe_plan
FEBRUARY = 28 * DAY_SECONDS
Plan = tuple[int, ...]


def opened(store: FeatureStore | None = None) -> PlanReader:
    return PlanReader(WORLD, InMemoryFeatureStore() if store is None else store)


def restored(reader: PlanReader) -> PlanReader:
    """A new reader of the same store that continues from a snapshot written to a file."""
    state = reader.snapshot()
    text, file = json.dumps(state.metadata), io.BytesIO()
    np.savez(file, **state.arrays)
    other = opened(reader.store)
    with np.load(io.BytesIO(file.getvalue())) as arrays:
        other.restore(StoreState(dict(arrays), json.loads(text)))
    return other
