"""What executors as services read from a store that other processes can change at any moment."""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from slowfast_rl.members.arrays import Bool, Int64
from slowfast_rl.members.world import World
from slowfast_rl.policies.plan_reader import PlanReader, Reading
from slowfast_rl.store import (
    UNIFORM_SHAPE,
    FeatureStore,
    FeatureView,
    OnlineResponse,
    StoreState,
    StoreUnavailableError,
)
from slowfast_rl.store.views import UnknownViewError

T = TypeVar("T")
_LOG = logging.getLogger(__name__)


class RegisteredStore:
    """A store whose views are registered again if another process has removed them.

    Its rows are gone then, as those of a store that restarted empty. If a view is removed again
    during the same call, the store counts as unavailable.

    Args:
        store: the store, to which calls are passed on.
        views: the views, which are registered now.
    """

    def __init__(self, store: FeatureStore, views: Iterable[FeatureView]) -> None:
        self._store, self._views = store, list(views)
        store.apply(self._views)

    @property
    def counters(self) -> Mapping[str, int]:
        """See `FeatureStore.counters`."""
        return self._store.counters

    def apply(self, views: Iterable[FeatureView]) -> None:
        """See `FeatureStore.apply`."""
        self._store.apply(views)

    def write_to_online_store(
        self,
        view: str,
        entity_ids: ArrayLike,
        rows: Mapping[str, ArrayLike],
        event_timestamp: ArrayLike,
    ) -> int:
        """See `FeatureStore.write_to_online_store`."""
        write = self._store.write_to_online_store
        return self._registered(lambda: write(view, entity_ids, rows, event_timestamp))

    def get_online_features(
        self, view: str, entity_ids: ArrayLike, now: ArrayLike
    ) -> OnlineResponse:
        """See `FeatureStore.get_online_features`."""
        return self._registered(lambda: self._store.get_online_features(view, entity_ids, now))

    def delete(self, view: str, entity_ids: ArrayLike) -> int:
        """See `FeatureStore.delete`."""
        return self._registered(lambda: self._store.delete(view, entity_ids))

    def snapshot(self) -> StoreState:
        """See `FeatureStore.snapshot`."""
        return self._store.snapshot()

    def restore(self, state: StoreState) -> None:
        """See `FeatureStore.restore`."""
        self._store.restore(state)

    def __repr__(self) -> str:
        """Return that of the store."""
        return repr(self._store)

    def _registered(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except UnknownViewError:
            self._store.apply(self._views)
        try:
            return call()
        except UnknownViewError as error:
            raise StoreUnavailableError(f"another process removes views: {error}") from error


class ServedPlanReader(PlanReader):
    """A reader of plans for executors that decide from observations.

    A shape that depends on the week's launches, which observations do not show, is read as the
    uniform one: the plan's targets and caps hold, and a warning is logged for the first member.

    Args:
        world: the world.
        store: the store to which the planner writes.
    """

    def __init__(self, world: World, store: FeatureStore) -> None:
        super().__init__(world, store)
        self._of_launches = [n for n, shape in enumerate(world.shapes, start=1) if shape.launch]
        self._told = False

    def read_plans_in_force(
        self,
        entity_ids: Int64,
        now: Int64,
        write_missing: Callable[[Bool], None] | None = None,
    ) -> Reading:
        """See `PlanReader.read_plans_in_force`."""
        reading = super().read_plans_in_force(entity_ids, now, write_missing)
        if not self._of_launches:
            return reading
        hidden = np.isin(reading.plan.shape, self._of_launches)
        if not hidden.any():
            return reading
        if not self._told:
            self._told = True
            name = self.world.shapes[int(reading.plan.shape[hidden][0]) - 1].name
            _LOG.warning(
                "the plan of member %d has shape %r, which depends on launches that observations "
                "do not show; such plans are spread evenly over the week",
                int(entity_ids[hidden][0]), name,
            )  # fmt: skip
        shape: Any = np.where(hidden, UNIFORM_SHAPE, reading.plan.shape)
        return reading._replace(plan=reading.plan._replace(shape=shape.astype(np.int32)))
