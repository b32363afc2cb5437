"""Clock and observations in the store, which the executor's process writes for the planner's."""

from typing import NamedTuple

import numpy as np

from slowfast_rl.members.arrays import Bool, Float32, Int64
from slowfast_rl.members.clock import WEEK_SECONDS
from slowfast_rl.members.features import weekly_features
from slowfast_rl.members.observations import weekly_observation
from slowfast_rl.members.population import Population
from slowfast_rl.members.world import World
from slowfast_rl.policies.observation_checks import LATEST
from slowfast_rl.store import Column, FeatureStore, FeatureView, Status

CHUNK = 1 << 14  # members that are read, written or decided for together: bounds working memory
OBSERVATIONS, CLOCK = "observations", "clock"
_THE_CLOCK = np.zeros(1, np.int64)  # its only entity
_EVER = np.iinfo(np.int64).max


class Clock(NamedTuple):
    """The time in the store, and who writes it."""

    now: int  # simulated seconds
    service: int  # number of the service that writes it, which serves one population


class Seen(NamedTuple):
    """The observations of this week that the store has of B members."""

    present: Bool  # [B] whether the store has an observation of this week
    observations: Float32  # [B, F_week], zeros if the store has none


def published_views(world: World) -> list[FeatureView]:
    """Return the views ``observations``, one row per member, and ``clock``, a single row.

    The timestamp of an observation is its time; that of the clock is the time of the executor's
    process.
    """
    observations = {"values": Column("float32", (len(weekly_features(world)),))}
    return [
        FeatureView(OBSERVATIONS, observations, max_age_seconds=WEEK_SECONDS),
        clock_view(),
    ]


def clock_view() -> FeatureView:
    """Return the view ``clock``.

    It contains the number of the service that writes it, so that a second service detects the
    first.
    """
    return FeatureView(CLOCK, {"week": Column("int64"), "service": Column("int64")})


def publish(store: FeatureStore, population: Population, now: int, service: int) -> None:
    """Write the observations of living members, then the clock.

    A reader that finds the time in the store therefore finds the observations too.

    Args:
        store: a store with the views of :func:`published_views`.
        population: at the beginning of a day.
        now: simulated seconds.
        service: the number of the service that writes the clock.

    Raises:
        ValueError: another service writes the clock of this store.
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
    observations = weekly_observation(population)
    for first in range(0, len(living), CHUNK):
        some = living[first : first + CHUNK]
        publish_observations(store, population.members[some], observations[some], now)
    row = {"week": np.array([now // WEEK_SECONDS]), "service": np.array([service])}
    store.write_to_online_store(CLOCK, _THE_CLOCK, row, now)


def publish_observations(
    store: FeatureStore, entity_ids: Int64, observations: Float32, now: int
) -> None:
    """Write the observations [B, F_week] of B members at ``now``, in simulated seconds."""
    store.write_to_online_store(OBSERVATIONS, entity_ids, {"values": observations}, now)


def read_clock(store: FeatureStore) -> int | None:
    """Return the time that the executor wrote last, in simulated seconds; None if there is none.

    Raises:
        StoreUnavailableError: the store cannot be reached.
    """
    clock = read_clock_row(store)
    return None if clock is None else clock.now


def read_clock_row(store: FeatureStore) -> Clock | None:
    """Return the clock that the executor wrote last; None if there is none within the horizon.

    Raises:
        StoreUnavailableError: the store cannot be reached.
    """
    found = store.get_online_features(CLOCK, _THE_CLOCK, _EVER)
    now = int(found.event_timestamp[0])
    if found.status[0] == Status.NOT_FOUND or now > LATEST:
        return None
    return Clock(now, int(found.values["service"][0]))


def read_observations(store: FeatureStore, entity_ids: Int64, now: int) -> Seen:
    """Return the observations of B members that were written in the week of ``now``.

    Raises:
        StoreUnavailableError: the store cannot be reached.
    """
    found = store.get_online_features(OBSERVATIONS, entity_ids, now)
    this_week = found.event_timestamp >= now // WEEK_SECONDS * WEEK_SECONDS
    return Seen((found.status == Status.PRESENT) & this_week, found.values["values"])
