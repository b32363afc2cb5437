"""What every feature store does, whatever its backend."""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

from numpy.typing import ArrayLike, NDArray

from slowfast_rl.members.arrays import Int8, Int64
from slowfast_rl.store.views import FeatureView


class Status(IntEnum):
    """What a read found, in the numbers of Feast's FieldStatus.

    Feast's INVALID (0) and NULL_VALUE (2) never occur: a row has all its columns.
    """

    PRESENT = 1
    NOT_FOUND = 3
    OUTSIDE_MAX_AGE = 4


class OnlineResponse(NamedTuple):
    """One read of a batch of B entities, in the order asked; fresh arrays, the caller's to keep.

    Attributes:
        values: [B, *shape] per column; zeros where NOT_FOUND.
        status: [B], values of `Status`.
        event_timestamp: [B], the rows' stamps in seconds; 0 where NOT_FOUND.
    """

    values: dict[str, NDArray[Any]]
    status: Int8
    event_timestamp: Int64


class StoreState(NamedTuple):
    """All a store holds, free of pickles: the same content gives the same state in any backend.

    Attributes:
        arrays: per view, rows in rising order of id: `<view>/entity_ids` [R],
            `<view>/event_timestamp` [R], `<view>/values/<column>` [R, *shape].
        metadata: what JSON can hold: `views` (a list of `FeatureView.to_json`) and `counters`.
    """

    arrays: dict[str, NDArray[Any]]
    metadata: dict[str, Any]


class StoreUnavailableError(ConnectionError):
    """The backend cannot be reached; the executor takes it as silence and uses its fallback."""


class FeatureStore(Protocol):
    """Online rows by entity id, read and written in batches: the one channel between the levels.

    Entity ids are non-negative int64; times are int64 seconds since Monday 00:00 of week 0, never
    negative, one for the batch or one per row. Every method raises ValueError for bad input,
    naming the value and what is allowed, and then has changed nothing. A backend that cannot be
    reached raises `StoreUnavailableError`.
    """

    @property
    def counters(self) -> Mapping[str, int]:
        """Rows so far, over all views: refused_writes, stale_reads and not_found_reads.

        Stale reads are those with status OUTSIDE_MAX_AGE.
        """
        ...

    def apply(self, views: Iterable[FeatureView]) -> None:
        """Registers views; one already registered in the same form keeps its rows.

        Raises:
            ValueError: if a view of that name has another form; then no view is registered.
        """
        ...

    def write_to_online_store(
        self,
        view: str,
        entity_ids: ArrayLike,
        rows: Mapping[str, ArrayLike],
        event_timestamp: ArrayLike,
    ) -> int:
        """Writes one row per entity, by the view's write rule.

        Args:
            view: a registered view.
            entity_ids: [B], no id twice.
            rows: [B, *shape] for every column of the view, of a dtype that casts safely.
            event_timestamp: the writer's clock in seconds, a scalar or [B].

        Returns:
            The number of rows accepted; the others were refused and counted.
        """
        ...

    def get_online_features(
        self, view: str, entity_ids: ArrayLike, now: ArrayLike
    ) -> OnlineResponse:
        """Reads one row per entity as of `now`; a row stamped after `now` is NOT_FOUND.

        Args:
            view: a registered view.
            entity_ids: [B], an id may come twice.
            now: the reader's clock in seconds, a scalar or [B].
        """
        ...

    def delete(self, view: str, entity_ids: ArrayLike) -> int:
        """Forgets the rows of these entities [B], as when members start a new episode.

        Returns:
            The number of rows that were there.
        """
        ...

    def snapshot(self) -> StoreState:
        """Returns a copy of all views, rows and counters."""
        ...

    def restore(self, state: StoreState) -> None:
        """Replaces all views, rows and counters by a snapshot's, from any backend.

        Raises:
            ValueError: for a state that no snapshot made; then nothing is replaced.
        """
        ...
