"""The columns of features in an observation of ``Messaging-v0``."""

import numpy as np

from slowfast_rl.members.arrays import Int64
from slowfast_rl.members.features import per_world
from slowfast_rl.members.observations import opportunity_features, weekly_features
from slowfast_rl.members.world import World


@per_world
def columns(world: World) -> dict[str, int]:
    """Return the column of each feature in an observation of ``Messaging-v0``, by name."""
    features = weekly_features(world) + opportunity_features(world)
    return {feature.name: i for i, feature in enumerate(features)}


@per_world
def opted_in_columns(world: World) -> Int64:
    """Return the columns of the opt-in flags, [C]."""
    return np.array([columns(world)[f"{channel}_opted_in"] for channel in world.channels])


@per_world
def slots_of_week(world: World) -> Int64:
    """Return the slot of the week by channel and that channel's slots left, [C, S + 1].

    In column 0, where no slot is left, stands the number of the channel's slots in a week.
    """
    slots = np.zeros((len(world.channels), world.slots_per_week + 1), np.int64)
    left = np.zeros(len(world.channels), np.int64)
    for s in range(world.slots_per_week - 1, -1, -1):
        channel = world.schedule[s].channel
        left[channel] += 1
        slots[channel, left[channel]] = s
    slots[:, 0] = left
    return slots
