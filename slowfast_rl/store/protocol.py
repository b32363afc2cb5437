"""The protocol of feature stores."""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

from numpy.typing import ArrayLike, NDArray

from slowfast_rl.members.arrays import Int8, Int64
from slowfast_rl.store.views import FeatureView


class Status(IntEnum):
    """The status of a row that was read, numbered as Feast's FieldStatus.

    Feast's INVALID (0) and NULL_VALUE (2) do not occur, because a row has all its columns.
    """

    PRESENT = 1
    NOT_FOUND = 3
    OUTSIDE_MAX_AGE = 4


class OnlineResponse(NamedTuple):
    """The result of reading B entities, in the requested order, in new arrays.

    Attributes:
        values: [B, *shape] per column; zeros where NOT_FOUND.
        status: [B], values of `Status`.
        event_timestamp: [B], the rows' stamps in seconds; 0 where NOT_FOUND.
    """

    values: dict[str, NDArray[Any]]
    status: Int8
    event_timestamp: Int64


class StoreState(NamedTuple):
    """The content of a store, which is the same for all backends and needs no pickle.

    Attributes:
        arrays: per view, rows in ascending order of id: `<view>/entity_ids` [R],
            `<view>/event_timestamp` [R], `<view>/values/<column>` [R, *shape].
        metadata: values for JSON: `views` (a list of `FeatureView.to_json`) and `counters`.
    """

    arrays: dict[str, NDArray[Any]]
    metadata: dict[str, Any]


class StoreUnavailableError(ConnectionError):
    """The backend cannot be reached; an executor then uses its fallback plan."""


class FeatureStore(Protocol):
    """Online rows by entity id, read and written in batches.

    Entity ids are non-negative int64. Times are non-negative int64 seconds since Monday 00:00 of
    week 0, one for the batch or one per row. Every method raises ValueError for bad input and then
    changes nothing; the message names the value and what is allowed. Every method raises
    `StoreUnavailableError` if the backend cannot be reached.
    """

    @property
    def counters(self) -> Mapping[str, int]:
        """Numbers of rows so far over all views: refused_writes, stale_reads, not_found_reads.

        Stale reads are those with status OUTSIDE_MAX_AGE.
        """
        ...

    def apply(self, views: Iterable[FeatureView]) -> None:
        """Register views; a view that is registered already and unchanged keeps its rows.

        Raises:
            ValueError: another view of that name is registered; then no view is registered.
        """
        ...

    def write_to_online_store(
        self,
        view: str,
        entity_ids: ArrayLike,
        rows: Mapping[str, ArrayLike],
        event_timestamp: ArrayLike,
    ) -> int:
        """Write one row per entity by the view's write rule.

        Args:
            view: a registered view.
            entity_ids: [B], all different.
            rows: [B, *shape] per column of the view, of a dtype that casts safely.
            event_timestamp: the writer's clock in seconds, a scalar or [B].

        Returns:
            The number of rows accepted; the others are refused and counted.
        """
        ...

    def get_online_features(
        self, view: str, entity_ids: ArrayLike, now: ArrayLike
    ) -> OnlineResponse:
        """Read one row per entity as of `now`; a row stamped later is NOT_FOUND.

        Args:
            view: a registered view.
            entity_ids: [B]; an id may be repeated.
            now: the reader's clock in seconds, a scalar or [B].

        Returns:
            The rows and their status.
        """
        ...

    def delete(self, view: str, entity_ids: ArrayLike) -> int:
        """Delete the rows of entities [B], for example when members begin a new episode.

        Returns:
            The number of rows deleted.
        """
        ...

    def snapshot(self) -> StoreState:
        """Return a copy of all views, rows and counters."""
        ...

    def restore(self, state: StoreState) -> None:
        """Replace all views, rows and counters by a snapshot's, from any backend.

        Raises:
            ValueError: the state is not one of a snapshot; then nothing is replaced.
        """
        ...
