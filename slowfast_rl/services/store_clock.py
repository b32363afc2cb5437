"""What the executor's process writes for the planner's: the clock and logged features."""

from typing import NamedTuple

import numpy as np

from slowfast_rl.members.arrays import Bool, Float32, Int64
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.members.features import weekly_features
from slowfast_rl.members.observations import weekly_observation
from slowfast_rl.members.population import Population
from slowfast_rl.members.world import World
from slowfast_rl.store import Column, FeatureStore, FeatureView, Status

OBSERVATIONS, CLOCK = "observations", "clock"
_THE_CLOCK = np.zeros(1, np.int64)  # its only entity
_EVER = np.iinfo(np.int64).max


class Seen(NamedTuple):
    """The logged features of B members, as far as the store has them of this week."""

    there: Bool  # [B]
    observations: Float32  # [B, F_week], zeros where there are none


def published_views(world: World) -> list[FeatureView]:
    """Return the views ``observations``, one row per member, and ``clock``, a single row.

    The row's timestamp is the time: of the features, and of the executor's process. The clock
    names the service that keeps it, so that two of them notice each other.
    """
    observations = {"values": Column("float32", (len(weekly_features(world)),))}
    return [
        FeatureView(OBSERVATIONS, observations, max_age_seconds=WEEK_SECONDS),
        FeatureView(CLOCK, {"week": Column("int64"), "service": Column("int64")}),
    ]


def publish(store: FeatureStore, population: Population, now: int, service: int) -> None:
    """Write the living members' features, then the clock.

    A reader that sees the time therefore finds the features.

    Args:
        store: with the views of :func:`published_views`.
        population: at the beginning of a day.
        now: simulated seconds.
        service: number of who keeps the clock.

    Raises:
        ValueError: another service keeps this store's clock.
        StoreUnavailableError: the store cannot be reached; some rows may be written.
    """
    found = store.get_online_features(CLOCK, _THE_CLOCK, _EVER)
    keeper = int(found.values["service"][0])
    if found.status[0] != Status.NOT_FOUND and keeper != service:
        raise ValueError(
            f"the store's clock, at {found.event_timestamp[0]} s, is kept by another service: a "
            "store serves one population; allowed is another name or namespace"
        )
    living = np.flatnonzero(population.alive)
    observations = weekly_observation(population)[living]
    publish_observations(store, population.members[living], observations, now)
    row = {"week": np.array([now // WEEK_SECONDS]), "service": np.array([service])}
    store.write_to_online_store(CLOCK, _THE_CLOCK, row, now)


def publish_observations(
    store: FeatureStore, entity_ids: Int64, observations: Float32, now: int
) -> None:
    """Write the logged features [B, F_week] of B members as of ``now``, in simulated seconds."""
    store.write_to_online_store(OBSERVATIONS, entity_ids, {"values": observations}, now)


def read_clock(store: FeatureStore) -> int | None:
    """Return the executor's time as last written, in simulated seconds; None if never.

    Raises:
        StoreUnavailableError: the store cannot be reached.
    """
    found = store.get_online_features(CLOCK, _THE_CLOCK, _EVER)
    return int(found.event_timestamp[0]) if found.status[0] != Status.NOT_FOUND else None


def read_observations(store: FeatureStore, entity_ids: Int64, now: int) -> Seen:
    """Return what is logged of B members, as far as it was written in the week of ``now``.

    Raises:
        StoreUnavailableError: the store cannot be reached.
    """
    found = store.get_online_features(OBSERVATIONS, entity_ids, now)
    this_week = found.event_timestamp >= now // WEEK_SECONDS * WEEK_SECONDS
    return Seen((found.status == Status.PRESENT) & this_week, found.values["values"])
