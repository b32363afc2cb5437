"""The features of observations: names, units and bounds of their columns.

There are three groups. ``weekly_features`` are what a planner observes on Monday;
``opportunity_features`` follow them at a send opportunity; both hold only what a company logs.
``privileged_features`` are the hidden state and traits, for upper bounds and for teaching policies.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import TypeVar

import numpy as np

from slowfast_rl.members.arrays import Float32
from slowfast_rl.members.world import World

T = TypeVar("T")

#: A share of sends (of opens or dismissals) is (count + PRIOR_EVENTS) / (sends + PRIOR_SENDS): the
#: observed share shrunk towards 1 in 10 with the weight of ten sends.
PRIOR_EVENTS, PRIOR_SENDS = np.float32(1), np.float32(10)
#: Days since a send are clipped to this, in features and in the scores that learners fit.
LONG_AGO_DAYS = np.float32(60)
_SHARE_UNIT = f"per send, (count + {PRIOR_EVENTS:g}) / (sends + {PRIOR_SENDS:g})"
_WINDOW_NAMES = ("this_week", "last_week", "mean_4_weeks", "mean_20_weeks")


@dataclass(frozen=True)
class Feature:
    """One column of an observation.

    Attributes:
        name: the column's name, such as "push_opens_last_week".
        unit: the unit of its values.
        low: the lower bound to which values are clipped.
        high: the upper bound to which values are clipped.
    """

    name: str
    unit: str
    low: float
    high: float


class _Identity:
    """A world that is hashed by identity: hashing its parameters would take too long."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __hash__(self) -> int:
        return id(self.world)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self.world is other.world


def per_world(function: Callable[[World], T]) -> Callable[[World], T]:
    """Cache a function's results for the 64 worlds used last; callers must not change results."""
    kept = lru_cache(maxsize=64)(lambda identity: function(identity.world))
    latest: tuple[World, T] | None = None

    @wraps(function)
    def cached(world: World) -> T:
        nonlocal latest
        known = latest  # another thread may replace it
        if known is None or known[0] is not world:
            latest = known = world, kept(_Identity(world))
        return known[1]

    return cached


@per_world
def weekly_features(world: World) -> tuple[Feature, ...]:
    """Return the F_week features that a planner observes on Monday 00:00."""
    slots = np.bincount([s.channel for s in world.schedule], minlength=len(world.channels))
    features = [Feature(f"viewing_days_{window}", "days a week", 0, 7) for window in _WINDOW_NAMES]
    features.append(Feature("tenure", "weeks", 0, 520))
    for channel, most in zip(world.channels, slots, strict=True):
        for event in ("sends", "opens", "dismissals"):
            for window in _WINDOW_NAMES:
                high = float(max(most, 1))  # a channel may have no slots
                features.append(Feature(f"{channel}_{event}_{window}", "a week", 0, high))
        for dose in ("light", "heavy"):
            for event in ("open", "dismissal"):
                name = f"{channel}_{event}_share_after_{dose}_weeks"
                features.append(Feature(name, _SHARE_UNIT, 0, 1))
        features.append(Feature(f"{channel}_days_since_send", "days", 0, float(LONG_AGO_DAYS)))
        features.append(Feature(f"{channel}_opted_in", "0 or 1", 0, 1))
    for topic in range(world.num_topics):
        features += [
            Feature(f"topic_{topic}_sends", "since the start", 0, 2000),
            Feature(f"topic_{topic}_opens", "since the start", 0, 500),
            Feature(f"topic_{topic}_days_since_send", "days", 0, float(LONG_AGO_DAYS)),
            Feature(f"topic_{topic}_launch", "launch intensity", 0, 10),
        ]
    return tuple(features)


@per_world
def opportunity_features(world: World) -> tuple[Feature, ...]:
    """Return the F_slot features that follow the weekly ones at a send opportunity."""
    features = [Feature("weekday", "0 is Monday", 0, 6)]
    features += [Feature(f"slot_is_{c}", "0 or 1", 0, 1) for c in world.channels]
    features.append(Feature("slots_left", "slots of this channel this week", 0, 1000))
    for j in range(1, world.num_candidates + 1):
        features.append(Feature(f"candidate_{j}_quality", "standard deviations", -6, 6))
        features.append(Feature(f"candidate_{j}_launch_flag", "0 or 1", 0, 1))
        features += [
            Feature(f"candidate_{j}_is_topic_{d}", "0 or 1", 0, 1) for d in range(world.num_topics)
        ]
    features.append(Feature("has_plan", "0 or 1", 0, 1))
    features += [Feature(f"{c}_plan_target", "sends this week", 0, 1000) for c in world.channels]
    features += [Feature(f"{c}_plan_left", "sends this week", 0, 1000) for c in world.channels]
    return tuple(features)


@per_world
def privileged_features(world: World) -> tuple[Feature, ...]:
    """Return the F_privileged features that no company observes: hidden state and traits."""
    features = [
        Feature("habit", "views per day", 0, 1),
        Feature("goodwill", "share", 0, 1),
        Feature("base_logit", "logits", -20, 20),
        Feature("fatigue_sensitivity", "relative to the mean", 0, 100),
        Feature("dismissal_propensity", "relative to the mean", 0, 100),
    ]
    for channel in world.channels:
        features += [
            Feature(f"{channel}_fatigue", "effective sends", 0, 100),
            Feature(f"{channel}_responsiveness", "per send", 0, 10),
            Feature(f"{channel}_opt_out_frailty", "relative to the mean", 0, 30),
        ]
    features += [
        Feature(f"taste_topic_{d}", "standard deviations", -6, 6) for d in range(world.num_topics)
    ]
    return tuple(features)


def bounds(features: tuple[Feature, ...]) -> Float32:
    """Return the lower and upper bounds of features, [2, F]."""
    return np.array([[f.low for f in features], [f.high for f in features]], np.float32)
