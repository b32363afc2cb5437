"""Where an observation of ``Messaging-v0`` has which signal."""

from slowfast_rl.members.features import per_world
from slowfast_rl.members.observations import opportunity_features, weekly_features
from slowfast_rl.members.world import World


@per_world
def columns(world: World) -> dict[str, int]:
    """Return the column of each signal in an observation of ``Messaging-v0``, by name."""
    features = weekly_features(world) + opportunity_features(world)
    return {feature.name: i for i, feature in enumerate(features)}


@per_world
def opted_in_columns(world: World) -> list[int]:
    """Return the columns of the opt-in flags, [C]."""
    return [columns(world)[f"{channel}_opted_in"] for channel in world.channels]
