"""The one table of features: names, units and bounds of what agents see.

Only what a company logs, at three levels: ``week`` (what a planner sees on Monday), ``slot`` (what
comes on top at a send opportunity) and ``privileged`` (latents, for upper bounds and teachers).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import TypeVar

import numpy as np

from slowfast_rl.members.arrays import Float32
from slowfast_rl.members.world import World

T = TypeVar("T")

_DAYS = 60.0  # days beyond which "long ago" is all that matters
_WINDOW_NAMES = ("this_week", "last_week", "mean_4_weeks", "mean_20_weeks")


@dataclass(frozen=True)
class Feature:
    """One observed number.

    Attributes:
        name: such as "push_opens_last_week".
        unit: what one is.
        low: values are clipped from below here.
        high: values are clipped from above here.
    """

    name: str
    unit: str
    low: float
    high: float


class _Identity:
    """A world that hashes by identity: all its parameters take longer than an observation."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __hash__(self) -> int:
        return id(self.world)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self.world is other.world


def per_world(function: Callable[[World], T]) -> Callable[[World], T]:
    """Keep a function's results for the worlds last asked for; nobody may write to them."""
    kept = lru_cache(maxsize=64)(lambda identity: function(identity.world))
    return wraps(function)(lambda world: kept(_Identity(world)))


@per_world
def weekly_features(world: World) -> tuple[Feature, ...]:
    """Return what a planner sees on Monday 00:00, F_week features."""
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
                features.append(Feature(name, "per send, shrunk to .1 by ten sends", 0, 1))
        features.append(Feature(f"{channel}_days_since_send", "days", 0, _DAYS))
        features.append(Feature(f"{channel}_opted_in", "0 or 1", 0, 1))
    for topic in range(world.num_topics):
        features += [
            Feature(f"topic_{topic}_sends", "since the start", 0, 2000),
            Feature(f"topic_{topic}_opens", "since the start", 0, 500),
            Feature(f"topic_{topic}_days_since_send", "days", 0, _DAYS),
            Feature(f"topic_{topic}_launch", "launch intensity", 0, 10),
        ]
    return tuple(features)


@per_world
def opportunity_features(world: World) -> tuple[Feature, ...]:
    """Return what comes on top of the week's features at a send opportunity, F_slot features."""
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
    """Return the latents: what no company sees."""
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
    """Return [2, F]: lows and highs."""
    return np.array([[f.low for f in features], [f.high for f in features]], np.float32)
