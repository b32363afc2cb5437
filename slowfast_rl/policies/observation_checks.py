"""The checks of observations and times that come from outside the process.

Services, commands and ``predict`` check with them before they keep anything of what they are given.
"""

from collections.abc import Sequence

import numpy as np
from numba import types

from slowfast_rl.members.arrays import Bool, Float32, Int64
from slowfast_rl.members.clock import HORIZON_WEEKS, WEEK_SECONDS
from slowfast_rl.members.compile import driver, entry_point
from slowfast_rl.members.features import (
    Feature,
    bounds,
    opportunity_features,
    per_world,
    weekly_features,
)
from slowfast_rl.members.world import World
from slowfast_rl.store.checks import within

#: The last second that is allowed as a time, so that a mistaken one does not outdate all others.
LATEST = HORIZON_WEEKS * WEEK_SECONDS - 1


class ObservationCheck:
    """The check that observations are finite and within the bounds of their features.

    Args:
        features: the F features of an observation.
    """

    def __init__(self, features: Sequence[Feature]) -> None:
        self._names = [feature.name for feature in features]
        self._low, self._high = bounds(tuple(features))

    def valid(self, observations: Float32) -> Bool:
        """Return which observations [B, F] are finite and within bounds, [B]."""
        valid = np.empty(len(observations), np.bool_)
        observations = np.ascontiguousarray(observations, np.float32)
        if observations.shape[1:] != self._low.shape:
            raise ValueError(
                f"observations have shape {observations.shape}; allowed is (B, {self._low.size})"
            )
        entry_point(_fill_valid)(observations, self._low, self._high, valid)
        return valid

    def fault(self, observation: Float32) -> str:
        """Return what is wrong with the first bad number of an invalid observation [F]."""
        i = int(((observation >= self._low) & (observation <= self._high)).argmin())
        return (
            f"{self._names[i]} = {observation[i]:g}; allowed is {self._low[i]:g} to "
            f"{self._high[i]:g}"
        )

    def check(self, observations: Float32, entity_ids: Int64) -> None:
        """Check the observations [B, F] of B members.

        Raises:
            ValueError: an observation is invalid; the message names the first one's member,
                feature and value, and counts the others.
        """
        valid = self.valid(observations)
        if np.count_nonzero(valid) < len(valid):
            raise ValueError(self.report(observations, entity_ids, valid))

    def report(self, observations: Float32, entity_ids: Int64, valid: Bool) -> str:
        """Return one line about the invalid ones of the observations [B, F] of B members."""
        first, count = int(valid.argmin()), int((~valid).sum())
        others = f" (and {count - 1:,} more of {len(valid):,})" if count > 1 else ""
        return (
            f"the observation of member {entity_ids[first]}{others} has "
            f"{self.fault(observations[first])}"
        )


@driver(
    types.void(
        types.Array(types.float32, 2, "C"),
        types.Array(types.float32, 1, "C"),
        types.Array(types.float32, 1, "C"),
        types.Array(types.boolean, 1, "C"),
    )
)
def _fill_valid(observations: Float32, low: Float32, high: Float32, valid: Bool) -> None:
    for i in range(observations.shape[0]):
        inside = True
        for k in range(low.shape[0]):
            value = observations[i, k]
            inside &= (value >= low[k]) & (value <= high[k])  # false for NaN
        valid[i] = inside


@per_world
def weekly_check(world: World) -> ObservationCheck:
    """Return the check of weekly observations, [B, F_week]."""
    return ObservationCheck(weekly_features(world))


@per_world
def opportunity_check(world: World) -> ObservationCheck:
    """Return the check of observations of ``Messaging-v0``, [B, F]."""
    return ObservationCheck(weekly_features(world) + opportunity_features(world))


def check_now(times: Int64, latest: int = LATEST) -> None:
    """Check times in simulated seconds, one or [B].

    Args:
        times: the times.
        latest: the latest time that is allowed.

    Raises:
        ValueError: a time is before week 0 or after the latest one; the message names it.
    """
    if not within(times, latest + 1):
        outside = (times < 0) | (times > latest)
        raise ValueError(f"now is {times[outside].flat[0]}; allowed is 0 to {latest} s")
