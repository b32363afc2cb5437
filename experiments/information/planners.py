"""Planners that learn alike and know different things."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import slowfast_rl as sf
from slowfast_rl.members.arrays import Float32, Float64, Int64
from slowfast_rl.members.features import privileged_features
from slowfast_rl.members.random import Domain, random_words
from slowfast_rl.policies.contracts import PlanRequest

_SEED = 11  # of the noise


class InformedPlanner(sf.slow.RolloutPlanner):
    """A rollout planner with logged signals and, through noise, ln kappa.

    Args:
        world: whose law of kappa scales the noise.
        explained: R^2 of what it is told of ln kappa, above 0, at most 1.
        settings: of the rollout planner.
    """

    def __init__(self, world: sf.World, explained: float, **settings: int) -> None:
        super().__init__(beliefs=False, privileged=True, **settings)
        names = [feature.name for feature in privileged_features(world)]
        self._column = names.index("fatigue_sensitivity")
        spread = world.traits.fatigue_sensitivity_spread
        self._noise = spread * (1 / explained - 1) ** 0.5

    def _observations(self, request: PlanRequest) -> Float32:
        """Return logged signals and latents, all of them 0 but the noisy ln kappa."""
        assert request.latents is not None
        told = np.zeros_like(request.latents)
        log_kappa = np.log(np.maximum(request.latents[:, self._column], 1e-6))
        told[:, self._column] = log_kappa + self._noise * normal_of(request.entity_ids)
        return super()._observations(request._replace(latents=told))


def normal_of(members: Int64) -> Float64:
    """Return a standard normal number for each member [B], the same whenever it is asked."""
    first, second = (
        (random_words(_SEED, stream, members, np.zeros_like(members), Domain.EXPLORATION) + 0.5)
        / 2**32
        for stream in range(2)
    )
    return np.asarray(np.sqrt(-2 * np.log(first)) * np.cos(2 * np.pi * second))


class Entry(NamedTuple):
    """A row of the table."""

    what: str
    make: Callable[[sf.World, dict[str, int]], sf.slow.RolloutPlanner]


def _told(explained: float) -> Entry:
    return Entry(
        f"logged signals and ln kappa at R² = {explained:g}",
        lambda world, settings: InformedPlanner(world, explained, **settings),
    )


PLANNERS = {
    "logged": Entry(
        "logged signals alone",
        lambda world, settings: sf.slow.RolloutPlanner(beliefs=False, **settings),
    ),
    "beliefs": Entry(
        "logged signals and beliefs: the default",
        lambda world, settings: sf.slow.RolloutPlanner(**settings),
    ),
    "r2_25": _told(0.25),
    "r2_50": _told(0.5),
    "r2_75": _told(0.75),
    "kappa": _told(1.0),
    "latents": Entry(
        "logged signals and all latents",
        lambda world, settings: sf.slow.RolloutPlanner(beliefs=False, privileged=True, **settings),
    ),
}
